"""Large batches in parts, so that the work of one part stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tether.shifts.draws import Draws

Change = Callable[[Tensor, int, Tensor, Draws], Tensor]
_PIXELS = 1 << 19  # of one channel: ten images of 224 px, 512 of 32 px


def in_parts(change: Change, images: int | None = None, pixels: int = _PIXELS) -> Change:
    """Let `change` see no more than so many pixels of a channel, or `images`, at a time on a CPU.

    Operators that pass over their batch many times are then faster, and need less memory, since a
    part's temporaries are reused. Only for operators that treat each image on its own. Other devices
    get the whole batch.

    Example:
        >>> Shift("fog", "weather", "image", "fog", on_pixels(in_parts(fog)))
    """

    def apply(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        most = images or max(pixels // (x.shape[2] * x.shape[3]), 1)
        if x.device.type != "cpu" or len(x) <= most:
            return change(x, severity, ids, draws)
        pairs = zip(torch.split(x, most), torch.split(ids, most), strict=True)
        return torch.cat([change(part, severity, some, draws) for part, some in pairs])

    return apply
