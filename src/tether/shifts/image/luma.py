"""Brightness as television weighs it."""

from __future__ import annotations

from torch import Tensor

_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601


def luma(x: Tensor) -> Tensor:
    """Grey of a picture: (B, 3, H, W) to (B, 1, H, W)."""
    return (x * x.new_tensor(_WEIGHTS).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
