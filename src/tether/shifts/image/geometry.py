"""Geometry: the same object seen from elsewhere. A training shift of our own."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.warp import about_centre, rotation, warp
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

# At severity 5, largest in size: rotation in degrees, log of the scale, shear, move as a part of the
# side. A severity s has s/5 of each. Digits and letters stay legible, and a 6 never turns into a 9.
_LARGEST = (30.0, 0.3, 0.3, 0.15)


def _geometry(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    high, wide = x.shape[-2:]
    signed = (draws.uniform(ids, (5,), "amount") * 2 - 1) * (severity / 5)  # (B, 5) in [-1, 1)
    turn = rotation(signed[:, 0] * _LARGEST[0])  # (B, 2, 2)
    shape = torch.eye(2, device=x.device) * torch.exp(signed[:, 1] * _LARGEST[1])[:, None, None]
    shape[:, 0, 1] = signed[:, 2] * _LARGEST[2]
    move = signed[:, 3:] * _LARGEST[3] * x.new_tensor([wide, high])
    # Reflected, not black: a frame of zeros would tell the model which view it looks at.
    return warp(x, about_centre(turn @ shape, move, high, wide), fill="reflection")


SHIFTS = (
    Shift(
        "geometry", "geometry", "image", "turned, scaled, sheared and moved a little", on_pixels(_geometry)
    ),
)
