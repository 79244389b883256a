"""Pools: samples without labels, from any source a config can name or Python can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tether.data.bundle import fingerprint
from tether.data.config import DataConfig
from tether.data.examples import Examples
from tether.data.load import SOURCES
from tether.data.pool_source import PUBLISHED, PoolSource, pool_source
from tether.data.reading import Pictures, Read, Texts
from tether.data.rows import Rows
from tether.data.unlabelled import ROADS, objects
from tether.data.verify import verify
from tether.errors import RequestError


@dataclass(frozen=True)
class Pool:
    """Unlabelled samples.

    Attributes:
        examples: the samples; every label is -100, ids are row numbers in the source.
        domains: names of the codes in `examples.groups`; () where the source tells no domains.
        where: how messages call it.
        skipped: unreadable rows left out under `on_error: skip`.
    """

    examples: Examples
    domains: tuple[str, ...]
    where: str
    skipped: int = 0

    @property
    def fingerprint(self) -> str:
        """Hash of the content and of the picture size; the same on every machine."""
        return fingerprint(self.domains, {"pool": self.examples})

    def at(self, size: int) -> Pool:
        """The same pool with pictures of `size` pixels a side."""
        return replace(self, examples=self.examples.at(size))

    def subset(self, rows: Any) -> Pool:
        """The samples at these positions, in this order."""
        return replace(self, examples=self.examples.subset(rows))


def read_pool(spec: str | Mapping[str, Any] | Examples | Sequence[Any]) -> Pool:
    """Read unlabelled samples.

    Args:
        spec: a preset's name, or a path: a folder with pictures at any depth, a table with a column `text` or
            `image`, a .txt file with a text a line; or a mapping in the form of the `data:` config without
            labels and splits (see `PoolSource`); or Examples; or a list of texts or pictures.

    Raises:
        RequestError: at any fault of the source.

    Example:
        >>> pool = read_pool(["a text", "another one"])
        >>> len(pool.examples), pool.examples.labels.tolist()
        (2, [-100, -100])
    """
    if isinstance(spec, Examples):
        none = np.full(len(spec), -100, dtype=np.int64)
        return Pool(replace(spec, labels=none, groups=None, members=None), (), "the pool")
    if isinstance(spec, str | Mapping):
        source = pool_source(spec)
        return _pool(_rows(source, spec), source)
    if isinstance(spec, Sequence):
        return _pool(objects(spec), PoolSource(source="objects"))
    raise RequestError(
        "pool: expected a preset's name, a path, a mapping, Examples or a list of samples, got a "
        f"{type(spec).__name__}"
    )


def _rows(source: PoolSource, spec: str | Mapping[str, Any]) -> Rows:
    if source.source in PUBLISHED and isinstance(spec, Mapping):
        given = {k: v for k, v in spec.items() if k not in ("limit", "on_error", "seed")}
        return SOURCES[source.source](DataConfig.model_validate(given))
    road: Callable[[PoolSource], Rows] = ROADS["preset" if source.source is None else source.source]
    return road(source)


def _pool(rows: Rows, source: PoolSource) -> Pool:
    """Check that every sample can be read, and name what it holds."""
    columns = rows.columns
    read: Read = Pictures(columns.image or "", rows.root)
    if columns.text is not None:
        read = Texts(columns.text)
    used = np.arange(len(rows))
    if source.limit is not None and source.limit < len(rows):
        used = np.sort(np.random.default_rng([source.seed]).choice(len(rows), source.limit, replace=False))
    verified = verify(rows, read, source.on_error, used)
    readable = used[verified.readable[used]]
    names: tuple[str, ...] = ()
    codes = None
    if columns.domain is not None:
        known, found = np.unique(np.asarray(rows.words(columns.domain)), return_inverse=True)
        names, codes = tuple(known.tolist()), found.reshape(-1).astype(np.int64)
    everything = Examples(
        rows=rows.dataset.select_columns([read.column]),
        read=read,
        labels=np.full(len(rows), -100, dtype=np.int64),
        ids=np.arange(len(rows)),
        digests=verified.digests,
        groups=codes,
    )
    return Pool(everything.subset(readable), names, rows.where, len(used) - len(readable))
