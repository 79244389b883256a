"""Poisson counts from counter-based words: exact, per element, without a generator's state."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import scramble, unit

_SMALL = 10.0  # below this rate the rejection sampler's bounds do not hold, and inversion is short
_ROUNDS = 64  # each round accepts 7 of 10 at least, so nothing is left long before the last one


def poisson(rate: Tensor, words: Tensor) -> Tensor:
    """Draw one Poisson count per element.

    Args:
        rate: expected counts, any shape, float32, >= 0.
        words: int64 words of the same shape (`Draws.words`); they alone decide the outcome.

    Returns:
        Whole numbers as float32, same shape.
    """
    flat, seeds = rate.reshape(-1), words.reshape(-1)
    out = torch.zeros_like(flat)
    small = flat < _SMALL
    rows = small.nonzero().squeeze(1)
    out[rows] = _by_inversion(flat[rows], seeds[rows])
    rows = (~small).nonzero().squeeze(1)
    out[rows] = _by_rejection(flat[rows], seeds[rows])
    return out.view_as(rate)


def _by_inversion(rate: Tensor, words: Tensor) -> Tensor:
    """Count the steps of the distribution function that lie at or below one uniform number."""
    # float64: the last steps of the distribution function are smaller than float32 can add to 1.
    u = unit(words).double() + unit(words << 24).double() * 2.0**-24
    lam = rate.double()
    term = torch.exp(-lam)
    total = term.clone()
    out = torch.zeros_like(rate)
    left = torch.arange(len(rate), device=rate.device)
    # P(X > 60 | rate = 10) < 1e-25: the loop covers all that 48 bits of a uniform can reach.
    for k in range(1, 61):
        still = (u >= total).nonzero().squeeze(1)
        if len(still) == 0:
            break
        left, u, lam, term, total = (t[still] for t in (left, u, lam, term, total))
        out[left] = float(k)
        term = term * (lam / k)
        total = total + term
    return out


def _by_rejection(rate: Tensor, words: Tensor) -> Tensor:
    """Transformed rejection with squeeze, algorithm PTRS of Hoermann (1993), for rates >= 10."""
    out = rate.round()
    left = torch.arange(len(rate), device=rate.device)
    for attempt in range(_ROUNDS):
        if len(left) == 0:
            break
        lam = rate[left]
        u = unit(scramble(words[left], 2 * attempt + 1)) + (2.0**-25 - 0.5)
        v = unit(scramble(words[left], 2 * attempt + 2)) + 2.0**-25
        edge = 0.5 - u.abs()
        b = 0.931 + 2.53 * lam.sqrt()
        a = -0.059 + 0.02483 * b
        count = torch.floor((2 * a / edge + b) * u + lam + 0.43)
        sure = (edge >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        # The exact test, only for the tenth or so that the squeeze leaves open; float64 since
        # count * log(rate) - lgamma(count) cancels.
        near = (~sure & (count >= 0) & ((edge >= 0.013) | (v <= edge))).nonzero().squeeze(1)
        n_lam, n_count, n_b, n_a, n_edge = (t[near].double() for t in (lam, count, b, a, edge))
        height = v[near].double() * (1.1239 + 1.1328 / (n_b - 3.4)) / (n_a / n_edge**2 + n_b)
        accept = height.log() <= n_count * n_lam.log() - n_lam - torch.lgamma(n_count + 1)
        sure[near[accept]] = True
        out[left[sure]] = count[sure]
        left = left[~sure]
    return out
