"""Nearest neighbours by inner product, through faiss; exact, no approximation."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tether.errors import RequestError
from tether.progress import bar

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
BLOCK = 4096  # queries searched between two advances of the bar


def check_faiss() -> None:
    """Refuse a machine without faiss before anything is embedded.

    Raises:
        RequestError: with the command that installs it.
    """
    if importlib.util.find_spec("faiss") is None:
        raise RequestError(
            "retrieved: needs faiss, which is not installed; run: pip install 'tether[retrieval]' "
            "(or: pip install faiss-cpu)"
        )


def top(queries: Floats, base: Floats, n: int, what: str) -> tuple[Floats, Ints]:
    """The n vectors of `base` with the largest inner product with each query.

    Args:
        queries: (N, D), unit vectors.
        base: (U, D), unit vectors, U > 0.
        n: how many; no more than U come.
        what: what the progress bar says.

    Returns:
        Cosines (N, min(n, U)), falling along a row, and positions in `base`, of the same shape.

    Example:
        >>> top(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1, "rows")[1].tolist()
        [[0], [1]]
    """
    import faiss

    n = min(n, len(base))
    index: Any = faiss.IndexFlatIP(base.shape[1])
    index.add(np.ascontiguousarray(base, dtype=np.float32))
    cosines, rows = np.zeros((len(queries), n), np.float32), np.zeros((len(queries), n), np.int64)
    with bar(what, len(queries)) as progress:
        for start in range(0, len(queries), BLOCK):
            some = slice(start, start + BLOCK)
            cosines[some], rows[some] = index.search(np.ascontiguousarray(queries[some], dtype=np.float32), n)
            progress.advance(len(rows[some]))
    return cosines, rows
