"""load_data: from a config to a DataBundle, in one straight line that knows no source by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tether.data.bundle import DataBundle, bundle_of
from tether.data.config import DataConfig, Fractions, OodDomains
from tether.data.examples import Examples
from tether.data.labels import Ints, read_labels
from tether.data.presets import as_table
from tether.data.reading import Pictures, Read, Texts
from tether.data.splits import Sets, by_column, by_fraction, check_sets, limited
from tether.data.table import Rows, read_table
from tether.data.verify import verify

# A source reads a config into rows; splitting, checking and reading pictures are the same for all.
SOURCES: Mapping[str, Callable[[DataConfig], Rows]] = {"table": read_table}


def load_data(config: DataConfig) -> DataBundle:
    """Load, check and split the data that `config` describes; a preset is prepared on first use.

    Rows are split before unreadable ones are left out, so a broken file moves no other row to another set.

    Raises:
        RequestError: at any fault of the data.

    Example:
        >>> bundle = load_data(DataConfig(preset="digits"))  # doctest: +SKIP
        >>> len(bundle.train), sorted(bundle.ood_test)  # doctest: +SKIP
        (2000, ['optdigits'])
    """
    name = config.preset or Path(config.path or "").stem
    if config.preset is not None:
        config = as_table(config)
    assert config.source is not None, "DataConfig admits a preset or a source"
    rows = SOURCES[config.source](config)
    read = _reader(config, rows)
    classes, labels = read_labels(rows, config.label or "", config.classes)
    domains = None if config.domain is None else rows.words(config.domain)
    groups = _joined(rows, config.group)
    sets = _split(config, rows, labels, domains, groups)
    dropped = len(labels) - sum(len(part) for part in sets.values())

    readable, digests = verify(rows, read, config.on_error)
    sets = {name: part[readable[part]] for name, part in sets.items()}
    sets = limited(
        {name: part for name, part in sets.items() if len(part)}, labels, config.limit, config.seed
    )
    check_sets(rows.where, sets, labels, classes)

    # A batch's group is the domain where there is one: it is what worst-group metrics are asked about.
    group_names, codes = _codes(domains or groups)
    everything = Examples(
        rows=rows.dataset.select_columns([read.column]),
        read=read,
        labels=labels,
        ids=np.arange(len(labels)),
        digests=digests,
        groups=codes,
    )
    bundle = bundle_of(name, classes, {name: everything.subset(part) for name, part in sets.items()})
    return replace(
        bundle,
        skipped=int((~readable).sum()),
        dropped=dropped,
        groups=group_names,
        train_shifts=config.shifts.train,
        val_shifts=config.shifts.val,
        test_shifts=config.shifts.test,
    )


def _reader(config: DataConfig, rows: Rows) -> Read:
    if config.text is not None:
        return Texts(config.text)
    return Pictures(config.image or "", rows.root, config.size)


def _joined(rows: Rows, columns: tuple[str, ...]) -> list[str] | None:
    if not columns:
        return None
    # A unit separator between the parts: ("a", "b c") and ("a b", "c") are two groups.
    return ["\x1f".join(parts) for parts in zip(*(rows.words(c) for c in columns), strict=True)]


def _split(
    config: DataConfig, rows: Rows, labels: Ints, domains: list[str] | None, groups: list[str] | None
) -> Sets:
    if config.split is not None:
        return by_column(rows.where, rows.words(config.split), domains, groups)
    fractions, ood = config.fractions or Fractions(), config.ood_domains or OodDomains()
    return by_fraction(rows.where, labels, fractions, domains, ood, groups, config.seed)


def _codes(names: list[str] | None) -> tuple[tuple[str, ...], Ints | None]:
    if names is None:
        return (), None
    known, codes = np.unique(np.asarray(names), return_inverse=True)
    return tuple(known.tolist()), codes.reshape(-1).astype(np.int64)
