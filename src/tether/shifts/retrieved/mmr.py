"""Relevant and unlike each other: maximal marginal relevance under a cap (METHODS section 5.4, step 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tether.progress import bar

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NONE = -1


def choose(
    cosines: Floats, rows: Ints, base: Floats, order: Sequence[int] | Ints, m: int, lam: float, cap: int
) -> Ints:
    """Up to m items for each query, argmax_d lam cos(q, d) - (1 - lam) max_{d' in S} cos(d, d') each.

    S are the query's earlier items; while it is empty the second term is 0. Each item is used `cap` times at
    most over all queries. Every query makes its first choice, in the given order, then every one its
    second, and so on: so a cap that binds costs many queries a late choice before it costs any its first.

    Args:
        cosines: (N, n), of each query with its candidates.
        rows: (N, n), the candidates' positions in `base`.
        base: (U, D), unit vectors.
        order: the queries' turn; a permutation of 0..N-1.
        m: items a query.
        lam: weight of relevance; METHODS has .7.
        cap: uses of an item; METHODS has 3.

    Returns:
        (N, m) columns of `rows`, -1 where no candidate was left. Ties go to the earlier candidate.
    """
    count, n = rows.shape
    chosen = np.full((count, m), NONE, dtype=np.int64)
    uses = np.zeros(len(base), dtype=np.int64)
    taken = np.zeros((count, n), dtype=bool)
    likeness = np.zeros((count, n), dtype=np.float32)  # max over S of cos(d, d')
    with bar("choosing neighbours", count * m) as progress:
        for turn in range(m):
            for place, q in enumerate(order):
                if place % 256 == 0:
                    progress.to(turn * count + place)
                free = ~taken[q] & (uses[rows[q]] < cap)
                if not free.any():
                    continue
                score = lam * cosines[q] - (1 - lam) * likeness[q]
                best = int(np.where(free, score, -np.inf).argmax())
                item = rows[q, best]
                taken[q, best] = True
                uses[item] += 1
                chosen[q, turn] = best
                if turn + 1 < m:
                    alike = base[rows[q]] @ base[item]
                    # The first choice sets the likeness, which may be below 0; later ones can only raise it.
                    first = taken[q].sum() == 1
                    likeness[q] = alike if first else np.maximum(likeness[q], alike)
    return chosen
