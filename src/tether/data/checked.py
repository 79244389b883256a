"""What was verified before: digests by the files' names, sizes and times; nothing is decoded twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tether.data.mapped import settled
from tether.data.reading import Read
from tether.data.rows import Rows
from tether.errors import RequestError
from tether.files import atomic, cache_dir

RECIPE = 1  # raise it when digests are taken in another way
Sixteen = NDArray[np.void]
NOTHING = b"\0" * 16


@dataclass(frozen=True)
class Checked:
    """Digests of an earlier load.

    Attributes:
        keys: what each row's content hung on then, (N,) of 16 bytes; zeros where it was not read.
        digests: of each row's content, (N,) of 16 bytes.
    """

    keys: Sixteen
    digests: Sixteen


def place(rows: Rows, read: Read) -> Path:
    """Where the digests of this source are kept."""
    about = repr((RECIPE, rows.where, str(rows.root.resolve()), read.column, type(read).__name__, len(rows)))
    name = hashlib.blake2b(about.encode(), digest_size=16).hexdigest()
    return cache_dir() / "checked" / f"{name}.npy"


def recall(path: Path, n: int) -> Checked:
    """The digests kept for `n` rows; all zeros when there are none, or they cannot be read."""
    try:
        with path.open("rb") as f:
            kept = np.load(f, allow_pickle=False)
        if kept.dtype == np.uint8 and kept.shape == (2, n * 16):
            return Checked(kept[0].view("V16"), kept[1].view("V16"))
    except (OSError, ValueError, EOFError):
        pass
    return Checked(np.zeros(n, "V16"), np.zeros(n, "V16"))


def keep(path: Path, checked: Checked) -> None:
    """Keep digests for the next load; a cache that cannot be written only costs time."""
    both = np.stack([checked.keys.view(np.uint8), checked.digests.view(np.uint8)])
    try:
        with atomic(path) as part, part.open("wb") as f:
            np.save(f, both, allow_pickle=False)
    except RequestError:
        return


def table_key(rows: Rows) -> bytes:
    """What the content of a row hangs on that lies in the table itself, 16 bytes; zeros: it cannot be told.

    One key for all rows will do: they are told apart by their position.
    """
    return NOTHING if rows.stamp is None else hashlib.blake2b(rows.stamp.encode(), digest_size=16).digest()


def file_key(stamp: tuple[bytes, float]) -> bytes:
    """The same for a row that names a file, from `Read.stamp`."""
    return stamp[0] if settled(stamp[1]) else NOTHING


def known(checked: Checked, key: bytes) -> NDArray[np.bool_]:
    """Which rows were kept under this key, (N,)."""
    if key == NOTHING:
        return np.zeros(len(checked.keys), dtype=bool)
    same: NDArray[np.bool_] = (
        checked.keys.view(np.uint8).reshape(-1, 16) == np.frombuffer(key, np.uint8)
    ).all(1)
    return same
