"""Score a set that asks for some of the classes among those alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tether.data.examples import Ints


def project(probabilities: NDArray[np.floating], answer: Ints | None) -> NDArray[np.floating]:
    """Probabilities over the classes that a set asks for, (N, C), the others 0.

    A class that counts as another one (ObjectNet's objects stand for several ImageNet classes) gives it its
    probability where that is higher, as the published evaluations take the highest logit; then each row is
    made to sum to 1. None leaves everything as it is.

    Example:
        >>> project(np.array([[0.5, 0.2, 0.3]]), np.array([-1, 1, 1])).tolist()
        [[0.0, 1.0, 0.0]]
    """
    if answer is None:
        return probabilities
    result = np.zeros_like(probabilities)
    asked = np.flatnonzero(answer >= 0)
    for c in asked:
        result[:, answer[c]] = np.maximum(result[:, answer[c]], probabilities[:, c])
    total = result.sum(axis=1, keepdims=True)
    # A row whose mass all lies on classes that are not asked for says nothing: equal shares.
    even = np.zeros(probabilities.shape[1], dtype=probabilities.dtype)
    even[np.unique(answer[asked])] = 1 / len(np.unique(answer[asked]))
    return np.where(total > 0, result / np.where(total > 0, total, 1), even)
