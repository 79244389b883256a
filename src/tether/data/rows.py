"""Rows: what every source gives, and which column is what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tether.data.config import DataConfig
from tether.data.examples import column
from tether.errors import RequestError

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Columns:
    """Which column is what; the config says it for a table, the published layout for a benchmark.

    Attributes:
        domain: names the out-of-distribution sets.
        subgroup: becomes `Batch.group` where that is finer than the domain (a user, a camera).
    """

    label: str
    text: str | None = None
    image: str | None = None
    domain: str | None = None
    split: str | None = None
    group: tuple[str, ...] = ()
    time: str | None = None
    subgroup: str | None = None

    @property
    def wanted(self) -> list[str]:
        """Every column named, once each."""
        named = [self.text, self.image, self.label, self.domain, self.split, self.time, self.subgroup]
        return list(dict.fromkeys(name for name in (*named, *self.group) if name is not None))


def columns_of(config: DataConfig) -> Columns:
    """The columns as the config names them."""
    return Columns(
        label=config.label or "",
        text=config.text,
        image=config.image,
        domain=config.domain,
        split=config.split,
        group=config.group,
        time=config.time,
    )


@dataclass(frozen=True)
class Rows:
    """Rows in the source's own order, before anything is split or dropped.

    Attributes:
        dataset: the columns, Arrow underneath.
        root: the folder that relative picture paths start from.
        where: how messages call the source.
        columns: which column is what.
        made: columns the source made itself and holds beside the data set, as one string a row.
        classes: the class order the source knows, or None.
        completes: sets the source lacks may be drawn from those it has.
        published: the split is a benchmark's own; what it does against our rules is noted, not refused.
        members: overlapping subgroups, (N, G) bool, with their names.
        answers: set -> for each class of the order, the class it counts as in that set, -1 where it is not
            asked for; sets that are not named ask for all.
        notes: what a reader of the results should know.
        stamp: changes when the content may have changed; None when that cannot be told.
    """

    dataset: datasets.Dataset
    root: Path
    where: str
    columns: Columns
    made: Mapping[str, Sequence[str]] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    completes: bool = False
    published: bool = False
    members: tuple[tuple[str, ...], NDArray[np.bool_]] | None = None
    answers: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stamp: str | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    def values(self, name: str) -> Sequence[Any]:
        """A column as it stands, a value a row."""
        return self.made[name] if name in self.made else column(self.dataset, name)

    def words(self, name: str) -> Sequence[str]:
        """A column of names (domain, split, group) as strings.

        Raises:
            RequestError: at the first null or blank value, with its row.
        """
        if name in self.made:
            return self.made[name]
        values = column(self.dataset, name)
        for row, value in enumerate(values):
            if value is None or not str(value).strip():
                raise RequestError(
                    f"{self.where}: expected a value in column {name!r}, row {row} has none (rows count from "
                    "0, without a header); fill it in or remove the row"
                )
        return [str(value).strip() for value in values]
