"""Draw rows so that every class keeps its share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def quotas(counts: Ints, n: int, rng: np.random.Generator, cover: bool = True) -> Ints:
    """How many of `n` draws each class gets: its exact share, rounded down or up (largest remainders).

    Args:
        counts: rows per class, (C,).
        n: draws in all, at most `counts.sum()`.
        rng: breaks ties between equal remainders, so that no class is always the lucky one.
        cover: give every class that has rows at least one draw, when `n` allows it.

    Example:
        >>> quotas(np.array([6, 3, 1]), 5, np.random.default_rng(0)).tolist()
        [3, 1, 1]
    """
    share = counts * (n / max(int(counts.sum()), 1))
    quota: Ints = np.floor(share).astype(np.int64)
    remainder = share - quota
    first = np.lexsort((rng.random(len(counts)), -remainder.round(9)))
    quota[first[: n - int(quota.sum())]] += 1
    if cover and n >= np.count_nonzero(counts):
        for c in np.flatnonzero((quota == 0) & (counts > 0)):
            quota[quota.argmax()] -= 1
            quota[c] = 1
    return quota


def stratified(labels: Ints, n: int, rng: np.random.Generator, cover: bool = True) -> Ints:
    """Draw `n` of the rows without replacement, stratified by label; their positions, ascending.

    Example:
        >>> stratified(np.array([0, 0, 0, 0, 1, 1]), 3, np.random.default_rng(0)).size
        3
    """
    if n >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    drawn = [
        rng.permutation(np.flatnonzero(labels == c))[:k]
        for c, k in zip(classes, quotas(counts, n, rng, cover), strict=True)
    ]
    return np.sort(np.concatenate(drawn))
