"""Pillow's box filter on tensors."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=64)
def _windows(size: int, target: int) -> tuple[Tensor, Tensor]:
    """The first pixel of each target pixel's window, and how many the window holds, each (target,) int64.

    The order of operations is Pillow's own: where a pixel's centre meets the window's edge, rounding decides.
    """
    scale = size / target
    width = max(scale, 1.0)
    first, count = [], []
    for i in range(target):
        centre = (i + 0.5) * scale
        low = max(int(centre - 0.5 * width + 0.5), 0)
        high = min(int(centre + 0.5 * width + 0.5), size)
        inside = [j for j in range(low, high) if -0.5 < (j - centre + 0.5) * (1.0 / width) <= 0.5]
        first.append(inside[0])
        count.append(len(inside))
    return torch.tensor(first), torch.tensor(count)


def box_resize(x: Tensor, target: int, dim: int) -> Tensor:
    """Resize one dimension as Pillow's box filter does.

    Pillow averages, with equal weights, the pixels whose centre lies in the target pixel's window, and
    enlarges by repeating the nearest. Fractional cover does not count, unlike area pooling.

    Args:
        x: any shape.
        target: the new size.
        dim: which dimension, from the front.

    Returns:
        The same shape but for `dim`.

    Example:
        >>> box_resize(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), 2, dim=1)
        tensor([[0.5000, 2.5000]])
    """
    first, count = (t.to(x.device) for t in _windows(x.shape[dim], target))
    # Selecting from a two- or three-dimensional view is several times faster than from the middle of four.
    before, after = math.prod(x.shape[:dim]), x.shape[dim + 1 :]
    flat = x.reshape(before, x.shape[dim], *((math.prod(after),) if after else ()))
    out = flat.index_select(1, first)
    along = (-1, 1) if after else (-1,)  # a number for each target pixel, against `flat`
    most, least = (int(n) for n in (count.max(), count.min()))
    for k in range(1, most):
        taken = flat.index_select(1, first + count.sub(1).clamp(max=k))
        if k >= least:
            taken *= (count > k).to(x.dtype).view(along)
        out += taken
    if most > 1:
        out *= (1.0 / count).to(x.dtype).view(along) if most > least else 1.0 / most
    return out.view(*x.shape[:dim], target, *after)
