"""Plasma: the diamond-square relief, batched."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws


def relief_noise(ids: Tensor, size: int, draws: Draws, name: str) -> Tensor:
    """Uniform in [-1, 1), (B, size, size), in steps of 2^-15: four numbers from each word; size is even."""
    words = draws.words(ids, (size * size // 4,), name)
    return words.view(torch.int16).view(len(ids), size, size).float().mul_(2.0**-15)


def plasma(noise: Tensor, decay: float) -> Tensor:
    """A relief in which each octave is decay^2 times lower than the one before; its edges meet.

    Diamond-square: the middle of each square is the mean of its four corners plus noise, the middle of
    each side the mean of the four points around it plus noise, and so on down to single pixels.

    Args:
        noise: (B, S, S) in [-1, 1], S a power of two; one number for each point of the relief.
        decay: > 0; smaller is rougher.

    Returns:
        (B, S, S), from 0 to 1 exactly in each relief.

    Example:
        >>> plasma(torch.rand(2, 64, 64) * 2 - 1, decay=2.0).amax(dim=(1, 2))
        tensor([1., 1.])
    """
    size = noise.shape[-1]
    grid = torch.zeros_like(noise[:, :1, :1])  # (B, n, n), n doubles
    height = 1.0
    while (n := grid.shape[-1]) < size:
        step = size // n
        half = step // 2
        centre = _neighbours(_neighbours(grid, -1, 1), -1, 2).mul_(0.25)
        centre.add_(noise[:, half::step, half::step], alpha=height)
        side = (_neighbours(centre, 1, 1) + _neighbours(grid, -1, 2)).mul_(0.25)  # between left and right
        side.add_(noise[:, ::step, half::step], alpha=height)
        below = (_neighbours(centre, 1, 2) + _neighbours(grid, -1, 1)).mul_(0.25)  # between upper and lower
        below.add_(noise[:, half::step, ::step], alpha=height)
        finer = noise.new_empty(len(noise), 2 * n, 2 * n)
        finer[:, ::2, ::2], finer[:, ::2, 1::2] = grid, side
        finer[:, 1::2, ::2], finer[:, 1::2, 1::2] = below, centre
        grid = finer
        height /= decay**2
    low = grid.amin(dim=(1, 2), keepdim=True)
    return (grid - low) / (grid.amax(dim=(1, 2), keepdim=True) - low)


def _neighbours(grid: Tensor, shift: int, dim: int) -> Tensor:
    """Each point plus the next one (shift -1) or the one before (shift 1), round the edge."""
    return grid + grid.roll(shift, dim)
