"""Affine warps, batched, with a matrix per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def warp(x: Tensor, matrix: Tensor, fill: str = "zeros") -> Tensor:
    """Sample each image along its own affine map, bilinearly.

    Args:
        x: (B, 3, H, W).
        matrix: (B, 2, 3), from output to input position in pixels, origin at the top left corner
            and pixel centres at halves: the six numbers of Pillow's `Image.transform(AFFINE)`.
        fill: what lies outside: "zeros" (black) or "reflection".

    Returns:
        (B, 3, H, W).
    """
    high, wide = x.shape[-2:]
    # torch counts from -1 to 1 over the whole image: n = 2 p / size - 1, hence p = (n + 1) size / 2.
    half = x.new_tensor([wide / 2, high / 2])
    linear = matrix[:, :, :2] * half[None, None, :] / half[None, :, None]
    offset = (matrix[:, :, :2] @ half + matrix[:, :, 2]) / half - 1
    grid = F.affine_grid(torch.cat([linear, offset[:, :, None]], 2), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode=fill, align_corners=False)


def about_centre(linear: Tensor, move: Tensor, high: int, wide: int) -> Tensor:
    """The matrix for `warp` that applies a linear map about the image's centre.

    Args:
        linear: (B, 2, 2), from output to input.
        move: (B, 2), x and y in pixels, added after it.
        high: the image's height.
        wide: the image's width.

    Returns:
        (B, 2, 3).
    """
    centre = linear.new_tensor([wide / 2, high / 2])
    return torch.cat([linear, (centre - linear @ centre + move)[:, :, None]], dim=2)


def rotation(degrees: Tensor) -> Tensor:
    """Turn by (B,) degrees, counter-clockwise as seen: the (B, 2, 2) map from output to input."""
    angle = degrees * (math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
