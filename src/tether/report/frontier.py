"""The front of a trade: which methods no other one beats on cost and score at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Positions that nothing beats: none is as cheap and better, or as good and cheaper; cheapest first.

    NaN in either is never on the front. Equal twins are both on it.

    Example:
        >>> front([1, 2, 3], [0.5, 0.4, 0.6])
        [0, 2]
    """
    c, s = np.asarray(costs, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    known = [i for i in range(len(c)) if np.isfinite(c[i]) and np.isfinite(s[i])]

    def beaten(i: int) -> bool:
        return any(c[j] <= c[i] and s[j] >= s[i] and (c[j] < c[i] or s[j] > s[i]) for j in known)

    return sorted((i for i in known if not beaten(i)), key=lambda i: (c[i], i))
