"""Examples: rows with stable ids and integer labels, read into a Batch when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from tether.batch import Batch
from tether.data.reading import Read, UnreadableError
from tether.errors import RequestError

if TYPE_CHECKING:
    import datasets

Ints = NDArray[np.int64]
CHUNK = 10_000


@final
@dataclass(frozen=True, eq=False)
class Examples:
    """One set of examples, split off a source.

    Attributes:
        rows: the raw columns, one row an example, as a `datasets.Dataset`.
        read: turns a column's values into `Batch.x`.
        labels: class indices, (N,) int64.
        ids: row numbers in the source, (N,) int64: unique across all splits of one bundle, and the same
            however the source is split or limited.
        digests: content of each example's x, (N,) of 16 bytes.
        groups: domain or subgroup, (N,) int64, or None.
        members: which overlapping subgroups each example belongs to, (N, G) bool, or None; a comment may
            speak of several identities.

    Example:
        >>> bundle = load_data(DataConfig(preset="digits"))  # doctest: +SKIP
        >>> bundle.train.batch([0, 5]).x.shape  # doctest: +SKIP
        torch.Size([2, 3, 64, 64])
    """

    rows: datasets.Dataset
    read: Read
    labels: Ints
    ids: Ints
    digests: NDArray[np.void]
    groups: Ints | None = None
    members: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Sequence[int] | Ints) -> Batch:
        """Read these examples: pixels in [0, 1] (B, 3, H, W), or B strings; labels, ids and groups beside.

        Args:
            indices: positions in this set, from 0 to len - 1, in the order wanted.

        Raises:
            RequestError: when a picture cannot be read any more, or sizes differ and none was set.
        """
        index = np.asarray(indices, dtype=np.int64).reshape(-1)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise IndexError(f"expected positions from 0 to {len(self) - 1}, came {index.tolist()}")
        values = column(self.rows.select(index), self.read.column)
        try:
            x = self.read(values)
        except UnreadableError as e:
            raise RequestError(
                f"data: the rows {self.ids[index].tolist()} could be read at the start, now one of them "
                f"cannot: {e}. Put its file back and run again."
            ) from e
        return Batch(
            x=x,
            y=torch.from_numpy(self.labels[index]),
            ids=torch.from_numpy(self.ids[index]),
            group=None if self.groups is None else torch.from_numpy(self.groups[index]),
        )

    def sizes(self) -> Ints | None:
        """How long each example is, (N,): the characters of a text; None for pictures, all of one size."""
        if not self.read.varies:
            return None
        found = []
        for start in range(0, len(self), CHUNK):  # a memory-mapped table is never in memory as a whole
            part = self.rows.select(range(start, min(start + CHUNK, len(self))))
            found.append(self.read.lengths(column(part, self.read.column)))
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def subset(self, indices: Sequence[int] | Ints) -> Examples:
        """The set of these examples, in this order; ids stay theirs."""
        index = np.asarray(indices, dtype=np.int64).reshape(-1)
        return replace(
            self,
            rows=self.rows.select(index),
            labels=self.labels[index],
            ids=self.ids[index],
            digests=self.digests[index],
            groups=None if self.groups is None else self.groups[index],
            members=None if self.members is None else self.members[index],
        )

    def at(self, size: int) -> Examples:
        """The same examples, pictures resized to `size` pixels a side; texts stay as they are."""
        return replace(self, read=self.read.at(size))


def column(rows: datasets.Dataset, name: str) -> list[Any]:
    """Raw values of a column; the arrow format keeps `datasets` from decoding pictures on its own."""
    if not len(rows):
        return []
    # The other columns are left out first: taking rows by position would copy theirs too.
    alone = rows if rows.column_names == [name] else rows.select_columns([name])
    values: list[Any] = alone.with_format("arrow")[:].column(name).to_pylist()
    return values
