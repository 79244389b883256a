"""Poisson counts from counter-based words: exact, per element, without a generator's state."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from tether.shifts.draws import Draws

_LEVELS = 256  # of light that have a table: the bytes of a picture
_NEAR = 3e-5  # in levels: a byte divided by 255 and multiplied again is off by no more in float32
_FINE = 18  # low bits of a float32, which decide within a cell; the exponent and 5 bits name the cell
_FIRST = 126 << (23 - _FINE)  # the cell of the smallest tail, 0.5 * 2^-32
_CELLS = (32 + 1) << (23 - _FINE)  # up to a tail of 2^31 and what rounds up to it; 32 cells an octave
_MOST = 600.0  # photons; up to there a cell holds one step of the distribution function at most


@lru_cache(maxsize=16)
def _guide(photons: float) -> Tensor:
    """The quantile function at each level of light, (levels * 2 * cells,) int32; 2 MB, built in no time.

    The two halves of the distribution are told by their tails, P(count <= k) and P(count > k), in cells
    whose width grows with the tail. At most one step of the function falls into a cell. An entry is so
    made that adding a draw's fine bits carries into the count exactly when the draw reaches that step.

    Raises:
        ValueError: when there are too many photons for cells of this width.
    """
    if not 0 < photons <= _MOST:
        raise ValueError(f"expected 0 < photons <= {_MOST:g}, got {photons:g}")
    rate = torch.arange(_LEVELS, dtype=torch.float64)[:, None] * (photons / (_LEVELS - 1))
    k = torch.arange(int(photons + 8 * photons**0.5 + 24), dtype=torch.float64)  # far beyond any draw
    below = torch.special.gammaincc(k + 1, rate.expand(-1, len(k)))  # P(count <= k), rising
    above = torch.special.gammainc(k + 1, rate.expand(-1, len(k)))  # P(count > k), falling

    bits = torch.arange(_FIRST, _FIRST + _CELLS + 1, dtype=torch.int32) << _FINE
    edges = bits.view(torch.float32).double() * 2.0**-32  # (cells + 1,), from 2^-33 to 1/2
    low = torch.searchsorted(below, edges.expand(_LEVELS, -1).contiguous(), right=True)
    high = torch.searchsorted(-above, -edges.expand(_LEVELS, -1).contiguous(), right=True)
    guide = torch.empty(_LEVELS, 2, _CELLS, dtype=torch.int64)
    # The lower half: from the count at the left edge, one more once the draw reaches the step.
    guide[:, 0] = (low[:, :-1] << _FINE) + _carry(below, low[:, :-1], low[:, 1:], edges)
    # The upper half, whose fine bits come inverted: from the count at the right edge, one more up to it.
    guide[:, 1] = (high[:, 1:] << _FINE) + (
        (1 << _FINE) - _carry(above, high[:, 1:], high[:, :-1], edges)
    ) * (high[:, 1:] != high[:, :-1])
    return guide.flatten().to(torch.int32)


def _carry(steps: Tensor, count: Tensor, other: Tensor, edges: Tensor) -> Tensor:
    """2^fine minus the step's place in the cell, in fine units; 0 where the cell holds no step."""
    at = steps.gather(1, count.clamp(max=steps.shape[1] - 1))
    place = ((at - edges[:-1]) / edges.diff() * (1 << _FINE)).round().clamp(0, 1 << _FINE).long()
    return torch.where(count == other, 0, (1 << _FINE) - place)


def poisson(light: Tensor, photons: float, ids: Tensor, draws: Draws) -> Tensor:
    """Draw one count per element from the Poisson distribution with the rate light * photons.

    The rate is split in two: the byte level at or below the light, whose quantiles a table holds, and the
    rest up to the next level; the counts of both add up. A picture of bytes has no rest. All is inversion, so
    a sample's pattern is the same at every number of photons.

    A step of the distribution function is right to 2^-24 of the tail beyond it; no draw lies further out
    than a tail of 2^-33.

    Args:
        light: (B, ...) float32 in [0, 1].
        photons: the rate at full light, at most 600.
        ids: (B,), on the same device.
        draws: everything random.

    Returns:
        Whole numbers as float32, same shape.

    Raises:
        ValueError: when there are too many photons.
    """
    shape = tuple(light.shape[1:])
    level, rest = _levels(light)
    words = draws.halves(ids, shape, "count")
    sign = words >> 31  # 0 or -1: which half
    tail = words.bitwise_xor_(sign).to(torch.float32).add_(0.5).view(torch.int32)  # in units of 2^-32
    fine = tail.bitwise_xor(sign).bitwise_and_((1 << _FINE) - 1)
    cell = tail.bitwise_right_shift_(_FINE).add_(sign.bitwise_and_(_CELLS))
    cell.add_(level.to(torch.int32), alpha=2 * _CELLS).sub_(_FIRST)
    found = _guide(float(photons)).to(light.device).index_select(0, cell.flatten()).view_as(cell)
    out = found.add_(fine).bitwise_right_shift_(_FINE).to(torch.float32)
    if rest is not None:
        out += _few(rest.mul_(photons / (_LEVELS - 1)), draws.halves(ids, shape, "rest"))
    return out


def _levels(light: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split light into whole levels and the rest, both in levels; None for no rest at all."""
    rest = light * (_LEVELS - 1)
    level = (rest + _NEAR).floor_()
    rest.sub_(level)
    return level, rest.clamp_(min=0.0) if rest.numel() and rest.max().item() > _NEAR else None


def _few(rate: Tensor, words: Tensor) -> Tensor:
    """Counts at rates up to 3: walk up the distribution function; few elements take even one step."""
    out = torch.zeros_like(rate)
    u, lam = words.flatten().double().add_(0.5).mul_(2.0**-32).add_(0.5), rate.flatten().double()
    term = torch.exp(-lam)
    total = term.clone()
    left = torch.arange(len(lam), device=rate.device)
    for k in range(1, 61):
        still = (u >= total).nonzero().squeeze(1)
        if len(still) == 0:
            break
        left, u, lam, term, total = (t[still] for t in (left, u, lam, term, total))
        out.view(-1)[left] = float(k)
        term = term * (lam / k)
        total = total + term
    return out
