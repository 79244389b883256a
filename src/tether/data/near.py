"""Near-duplicates by exact cosine, a block of rows at a time, so that no matrix of all pairs is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tether.data.examples import Ints
from tether.errors import RequestError

Floats = NDArray[np.float32]
BLOCK = 2048  # rows of each side: 16 MB of cosines


@dataclass(frozen=True)
class NearDuplicates:
    """For each test row with a near-duplicate, the nearest training row.

    Attributes:
        test: positions in the test set, (K,), ascending.
        train: positions in the training set, (K,).
        cosine: of the two, (K,).
    """

    test: Ints
    train: Ints
    cosine: Floats

    def __len__(self) -> int:
        return len(self.test)


def near_duplicates(
    train_embeddings: NDArray[np.floating], test_embeddings: NDArray[np.floating], threshold: float = 0.95
) -> NearDuplicates:
    """Test rows whose nearest training row has a cosine of at least `threshold`.

    Args:
        train_embeddings: (N, D); rows of zeros are near nothing.
        test_embeddings: (M, D).
        threshold: from -1 to 1.

    Raises:
        RequestError: when the widths differ, or a number is not finite.

    Example:
        >>> found = near_duplicates(np.array([[1.0, 0], [0, 1]]), np.array([[0, 2.0], [1, 1]]))
        >>> found.test.tolist(), found.train.tolist()
        ([0], [1])
    """
    train, test = _unit(train_embeddings), _unit(test_embeddings)
    if train.shape[1] != test.shape[1]:
        raise RequestError(f"expected embeddings of one width, came {train.shape[1]} and {test.shape[1]}")
    best = np.full(len(test), -np.inf, dtype=np.float32)
    nearest = np.zeros(len(test), dtype=np.int64)
    for start in range(0, len(test), BLOCK):
        rows = slice(start, start + BLOCK)
        for other in range(0, len(train), BLOCK):
            cosine = test[rows] @ train[other : other + BLOCK].T  # (block, block)
            found = cosine.argmax(axis=1)
            value = cosine[np.arange(len(found)), found]
            better = value > best[rows]
            best[rows][better] = value[better]
            nearest[rows][better] = found[better] + other
    # Rounding must not lose a row to a threshold of exactly its cosine.
    chosen = np.flatnonzero(best >= threshold - 1e-6)
    return NearDuplicates(chosen, nearest[chosen], best[chosen])


def _unit(embeddings: NDArray[np.floating]) -> Floats:
    values = np.asarray(embeddings, dtype=np.float32)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise RequestError(f"expected finite embeddings (N, D), came shape {values.shape}; check the encoder")
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit: Floats = (values / np.where(length > 0, length, 1)).astype(np.float32)
    return unit
