"""One pass over the rows before anything is spent: the unreadable is named now, or skipped and counted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tether.data.checked import NOTHING, Checked, file_key, keep, known, place, recall, table_key
from tether.data.examples import Ints, column
from tether.data.reading import Read, UnreadableError
from tether.data.rows import Rows
from tether.errors import RequestError
from tether.progress import bar

CHUNK = 256


NAMED = 20  # faults that are kept in words


@dataclass(frozen=True)
class Verified:
    """What reading every row once showed.

    Attributes:
        readable: which rows can be read, (N,); rows that are not used count as readable.
        digests: of each row's content, (N,) of 16 bytes; zeros where it was not read.
        faults: the first unreadable rows in words.
        read: rows that had to be read, because nothing was known of them.
    """

    readable: NDArray[np.bool_]
    digests: NDArray[np.void]
    faults: tuple[str, ...]
    read: int


def verify(rows: Rows, read: Read, on_error: Literal["raise", "skip"], used: Ints | None = None) -> Verified:
    """Read every row once, a chunk at a time; rows whose file has not changed since are not read again.

    Args:
        rows: of a source.
        read: decodes a value.
        on_error: what an unreadable row leads to.
        used: positions of the rows that belong to a set, ascending; None means all.

    Raises:
        RequestError: at the first unreadable row under "raise"; when none is readable under "skip".
    """
    n = len(rows)
    used = np.arange(n) if used is None else used
    readable = np.ones(n, dtype=bool)
    path = place(rows, read)
    before = recall(path, n)
    now = Checked(np.zeros(n, dtype="V16"), np.zeros(n, dtype="V16"))
    in_table = table_key(rows)
    settled = known(before, in_table)
    now.keys[settled], now.digests[settled] = before.keys[settled], before.digests[settled]
    left = used[~settled[used]]
    fresh = 0
    faults: list[str] = []

    def look(row: int, value: object) -> tuple[bytes, bytes | UnreadableError, bool]:
        stamp = read.stamp(value)
        key = in_table if stamp is None else file_key(stamp)
        if key != NOTHING and before.keys[row].tobytes() == key:
            return key, before.digests[row].tobytes(), False
        try:
            return key, read.digest(value), True
        except UnreadableError as e:
            return NOTHING, e, True

    # Pillow decodes outside Python's lock; a text is hashed sooner than it is handed to a thread.
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        bar("checking the data", len(left)) as progress,
    ):
        each = pool.map if read.decodes else map
        for start in range(0, len(left), CHUNK):
            part = left[start : start + CHUNK]
            values = column(rows.dataset.select(part), read.column)
            for row, value, (key, found, was_read) in zip(
                part.tolist(), values, each(look, part.tolist(), values), strict=True
            ):
                fresh += was_read
                if isinstance(found, bytes):
                    now.keys[row], now.digests[row] = np.void(key), np.void(found)
                    continue
                readable[row] = False
                fault = f"row {row}, column {read.column!r}{_file(value)}: {found}"
                if len(faults) < NAMED:
                    faults.append(fault)
                if on_error == "raise":
                    raise RequestError(
                        f"{rows.where}: {fault} (rows count from 0, without a header). Mend or remove it, "
                        "or set data.on_error=skip to leave out such rows and have them counted."
                    )
            progress.advance(len(values))
    if not readable[used].any():
        raise RequestError(
            f"{rows.where}: none of the {len(used)} rows can be read from column {read.column!r}; set "
            "data.on_error=raise to see why"
        )
    if fresh:
        keep(path, now)
    return Verified(readable, now.digests, tuple(faults), fresh)


def _file(value: Any) -> str:
    name = value.get("path") if isinstance(value, dict) else value
    # A short string is a picture's path only where pictures are read; a text column never gets here with one.
    return f", file {name!r}" if isinstance(name, str) else ""
