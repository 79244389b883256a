"""How much of a text was changed: Levenshtein's distance over the longer length."""

from __future__ import annotations

import numpy as np


def edit_ratio(a: str, b: str) -> float:
    """Fewest insertions, deletions and replacements of characters that turn a into b, over the longer length.

    0 for the same text, 1 where nothing stands in its place. White space is evened out first.

    Example:
        >>> edit_ratio("kitten", "sitting")
        0.42857142857142855
    """
    a, b = " ".join(a.split()), " ".join(b.split())
    if a == b:
        return 0.0
    if not a or not b:
        return 1.0
    wide = np.array([ord(c) for c in b])
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for i, c in enumerate(a, 1):
        without_insertions = np.empty_like(row)
        without_insertions[0] = i
        without_insertions[1:] = np.minimum(row[1:] + 1, row[:-1] + (wide != ord(c)))
        # An insertion costs 1 a place to the right: the running minimum of cost minus place finds the best.
        row = np.minimum.accumulate(without_insertions - steps) + steps
    return float(row[-1] / max(len(a), len(b)))
