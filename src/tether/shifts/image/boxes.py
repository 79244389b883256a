"""Rectangles in pictures, one a sample."""

from __future__ import annotations

import torch
from torch import Tensor


def box(centre: Tensor, tall: Tensor, broad: Tensor, high: int, wide: int) -> Tensor:
    """Which pixels lie in a box; what reaches beyond the border is cut off.

    Args:
        centre: (B, 2) in [0, 1), row and column as parts of the size.
        tall: height in pixels, (B,) int64.
        broad: width in pixels, (B,) int64.
        high: of the picture.
        wide: of the picture.

    Returns:
        (B, 1, H, W) bool.
    """

    def inside(at: Tensor, length: Tensor, size: int) -> Tensor:
        first = (at * size).long() - length // 2  # (B,)
        place = torch.arange(size, device=at.device)
        return (place >= first[:, None]) & (place < (first + length)[:, None])  # (B, size)

    rows = inside(centre[:, 0], tall, high)
    columns = inside(centre[:, 1], broad, wide)
    return (rows[:, :, None] & columns[:, None, :])[:, None]
