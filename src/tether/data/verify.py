"""One pass over all rows before anything is spent: the unreadable is named now, or skipped and counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tether.data.examples import column
from tether.data.reading import Read, UnreadableError
from tether.data.table import Rows
from tether.errors import RequestError
from tether.progress import bar

CHUNK = 256


def verify(
    rows: Rows, read: Read, on_error: Literal["raise", "skip"]
) -> tuple[NDArray[np.bool_], NDArray[np.void]]:
    """Read every row once.

    Returns:
        Which rows can be read, (N,) bool, and the digest of each one's content, (N,) of 16 bytes.

    Raises:
        RequestError: at the first unreadable row under "raise"; when none is readable under "skip".
    """
    n = len(rows.dataset)
    readable = np.ones(n, dtype=bool)
    digests = np.zeros(n, dtype="V16")
    # Pillow decodes outside Python's lock.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool, bar("checking the data", n) as progress:
        for start in range(0, n, CHUNK):
            part = rows.dataset.select(range(start, min(start + CHUNK, n)))
            values = column(part, read.column)
            for row, found in enumerate(pool.map(lambda v: _try(read, v), values), start):
                if isinstance(found, bytes):
                    digests[row] = np.void(found)
                    continue
                readable[row] = False
                if on_error == "raise":
                    raise RequestError(
                        f"{rows.where}: row {row}, column {read.column!r}{_file(values, row - start)}: "
                        f"{found} (rows count from 0, without a header). Mend or remove it, or set "
                        "data.on_error=skip to leave out such rows and have them counted."
                    )
            progress.advance(len(values))
    if not readable.any():
        raise RequestError(
            f"{rows.where}: none of the {n} rows can be read from column {read.column!r}; set "
            "data.on_error=raise to see why"
        )
    return readable, digests


def _try(read: Read, value: object) -> bytes | UnreadableError:
    try:
        return read.digest(value)
    except UnreadableError as e:
        return e


def _file(values: Sequence[Any], i: int) -> str:
    value = values[i].get("path") if isinstance(values[i], dict) else values[i]
    # A short string is a picture's path only where pictures are read; a text column never gets here with one.
    return f", file {value!r}" if isinstance(value, str) else ""
