"""Contours of grey pictures and the distance to them, batched, numbers as OpenCV's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_TAN_22 = 2**0.5 - 1  # tangent of 22.5 degrees, where the horizontal sector ends


def bordered(grey: Tensor, mode: str) -> Tensor:
    """Add a border of 1 pixel to (B, H, W), of any dtype: the nearest pixel, or the one mirrored in it."""
    first, last = (0, -1) if mode == "replicate" else (1, -2)
    tall = torch.cat([grey[:, first, None], grey, grey[:, last, None]], 1)
    return torch.cat([tall[:, :, first, None], tall, tall[:, :, last, None]], 2)


def _around(padded: Tensor, down: int, right: int) -> Tensor:
    """The neighbour (down, right) of every pixel, from a picture with a border of 1."""
    high, wide = (n - 2 for n in padded.shape[1:])
    return padded[:, 1 + down : 1 + down + high, 1 + right : 1 + right + wide]


def _grown(marked: Tensor) -> Tensor:
    """Marked pixels and their eight neighbours."""
    padded = F.pad(marked, (1, 1, 1, 1))
    rows = padded[:, :-2] | padded[:, 1:-1] | padded[:, 2:]
    return rows[:, :, :-2] | rows[:, :, 1:-1] | rows[:, :, 2:]


def canny(grey: Tensor, low: float, high: float) -> Tensor:
    """Canny's edges: thin ridges of the gradient, the weak ones only where they touch strong ones.

    Sobel gradients over 3 x 3 pixels, their length as |dx| + |dy|, four sectors of directions, and
    hysteresis over the eight neighbours, as OpenCV's Canny does by default.

    Args:
        grey: (B, H, W) int16, 0..255.
        low: gradient above which an edge goes on.
        high: gradient above which an edge starts.

    Returns:
        (B, H, W) bool.

    Example:
        >>> canny((torch.rand(1, 64, 64) * 255).to(torch.int16), low=50, high=150).shape
        torch.Size([1, 64, 64])
    """
    padded = bordered(grey, "replicate")
    across = padded[:, :, 2:] - padded[:, :, :-2]
    along = padded[:, :, 2:] + padded[:, :, :-2] + 2 * padded[:, :, 1:-1]
    dx = across[:, 2:] + across[:, :-2] + 2 * across[:, 1:-1]
    dy = along[:, 2:] - along[:, :-2]
    tall, broad = dy.abs(), dx.abs()
    size = tall + broad
    frame = F.pad(size, (1, 1, 1, 1))
    # Of two equal pixels across an edge the first stays. Diagonals: strictly higher than both neighbours.
    level = (size > _around(frame, 0, -1)) & (size >= _around(frame, 0, 1))
    upright = (size > _around(frame, -1, 0)) & (size >= _around(frame, 1, 0))
    falling = (size > _around(frame, -1, -1)) & (size > _around(frame, 1, 1))
    rising = (size > _around(frame, -1, 1)) & (size > _around(frame, 1, -1))
    diagonal = torch.where((dx ^ dy) < 0, rising, falling)
    ridge = torch.where(tall < _TAN_22 * broad, level, torch.where(broad < _TAN_22 * tall, upright, diagonal))
    weak = ridge & (size > low)
    edge = weak & (size > high)
    while True:
        more = weak & _grown(edge)
        if torch.equal(more, edge):
            return edge
        edge = more


def distance(marked: Tensor, most: int) -> Tensor:
    """Euclidean distance from each pixel to the nearest marked one, at most `most`.

    Args:
        marked: (B, H, W) bool.
        most: px, up to 181, so that its square fits the 16 bits of the arithmetic.

    Returns:
        (B, H, W) float32.

    Example:
        >>> distance(torch.eye(3).bool()[None], most=20)[0, 0]
        tensor([0.0000, 0.7071, 1.4142])
    """
    # First within each row, by steps of 1, 2, 4, ..., which add up to every number.
    flat = torch.where(marked, 0, most).to(torch.int16)
    step = 1
    while step < most:
        left = F.pad(flat, (step, 0), value=most)[:, :, : flat.shape[2]]
        right = F.pad(flat, (0, step), value=most)[:, :, step:]
        flat = torch.minimum(flat, torch.minimum(left, right) + step)
        step *= 2
    # Then the smallest sum of squares over the rows that are near enough.
    squares = flat.clamp(max=most) ** 2
    padded = F.pad(squares, (0, 0, most, most), value=most * most)
    out = squares.clone()
    for k in range(1, most):
        for first in (most - k, most + k):
            torch.minimum(out, padded[:, first : first + squares.shape[1]] + k * k, out=out)
    return out.float().sqrt()
