"""Which items of a pool may be retrieved at all (METHODS section 5.4, steps 1 and 2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tether.data.near import near_duplicates
from tether.progress import bar
from tether.shifts.retrieved.search import top

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
BLOCK = 16_384  # pool items compared between two advances of the bar


def repeated(digests: NDArray[np.void]) -> Mask:
    """Items whose content came before in the pool: one item under two numbers would slip past the cap."""
    met: set[bytes] = set()
    mask = np.zeros(len(digests), dtype=bool)
    for row, digest in enumerate(digests):
        key = digest.tobytes()
        mask[row] = key in met
        met.add(key)
    return mask


def exact(digests: NDArray[np.void], others: Iterable[NDArray[np.void]]) -> Mask:
    """Items whose content is that of a sample in one of the other sets."""
    known = {digest.tobytes() for other in others for digest in other}
    return np.fromiter((d.tobytes() in known for d in digests), dtype=bool, count=len(digests))


def near(pool: Floats, held_out: Floats, threshold: float) -> Mask:
    """Items with a cosine of `threshold` or more to any held-out sample.

    Args:
        pool: (U, D).
        held_out: (H, D).
        threshold: METHODS has .95.

    Returns:
        (U,) bool.
    """
    mask = np.zeros(len(pool), dtype=bool)
    if not len(held_out):
        return mask
    with bar("comparing the pool with held-out samples", len(pool)) as progress:
        for start in range(0, len(pool), BLOCK):
            part = pool[start : start + BLOCK]
            mask[start + near_duplicates(held_out, part, threshold).test] = True
            progress.advance(len(part))
    return mask


def tagged(codes: Ints, names: Sequence[str], unwanted: Collection[str]) -> Mask:
    """Items whose domain tag is one of the unwanted ones.

    Args:
        codes: (U,) index into `names`.
        names: of the domains.
        unwanted: training's own domains, or held-out ones.
    """
    bad = np.array([name in unwanted for name in names], dtype=bool)
    mask: Mask = bad[codes]
    return mask


def outside_band(pool: Floats, train: Floats, band: tuple[float, float]) -> tuple[Mask, tuple[Any, Any]]:
    """Items that are too near to the training set to be shifted, or too far to be related.

    Args:
        pool: (U, D), U > 0.
        train: (N, D).
        band: percentiles of the pool's own similarities to their nearest training sample; METHODS has 20, 80.

    Returns:
        (U,) bool, and the two similarities between which items are kept, bounds included.
    """
    nearest = top(pool, train, 1, "nearest training samples of the pool")[0][:, 0]
    low, high = np.percentile(nearest, band)
    return (nearest < low) | (nearest > high), (low, high)
