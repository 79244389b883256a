"""Cutout: a square of the picture hidden (DeVries and Taylor 2017; METHODS section 5.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.boxes import box
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

# The hidden square's side over the picture's shorter one, at severities 1 to 5. Its authors use 8 and 16 of
# 32 px, which are 2 and 4 here.
SIDES = (0.125, 0.25, 0.375, 0.5, 0.625)
Fill = Literal["grey", "mean", "black", "noise"]


def make_cutout(fill: Fill = "grey") -> Shift:
    """A square about a drawn point is hidden; near the border less of it lies inside.

    Args:
        fill: "grey" (0.5), "mean" (the picture's own mean colour), "black", or "noise" (uniform).
    """

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        high, wide = x.shape[-2:]
        side = torch.full_like(ids, round(SIDES[severity - 1] * min(high, wide)))
        hidden = box(draws.uniform(ids, (2,), "centre"), side, side, high, wide)  # (B, 1, H, W)
        if fill == "mean":
            paint = x.mean(dim=(2, 3), keepdim=True)
        elif fill == "noise":
            paint = draws.uniform(ids, tuple(x.shape[1:]), "fill")
        else:
            paint = x.new_tensor({"grey": 0.5, "black": 0.0}[fill])
        return torch.where(hidden, paint, x)

    return Shift("cutout", "cutout", "image", _SUMMARY, on_pixels(change), default=False)


_SUMMARY = "a square of the picture hidden"
MAKERS = (Maker("cutout", "cutout", "image", _SUMMARY, make_cutout),)
