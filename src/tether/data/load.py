"""load_data: from a config to a DataBundle, in one straight line that knows no source by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tether.data.bundle import DataBundle, bundle_of
from tether.data.class_list import class_list
from tether.data.complete import completed
from tether.data.config import DataConfig
from tether.data.config_parts import Fractions, OodDomains
from tether.data.examples import Examples
from tether.data.folder import read_folder
from tether.data.hub import read_hub
from tether.data.imagenet import read_imagenet
from tether.data.labels import Ints, read_labels
from tether.data.presets import as_table
from tether.data.reading import Pictures, Read, Texts
from tether.data.rows import Rows
from tether.data.saved import read_saved
from tether.data.splits import Sets, by_column, by_fraction, check_sets, limited
from tether.data.table import read_table
from tether.data.times import by_time, read_times
from tether.data.verify import verify
from tether.data.wilds import read_wilds
from tether.errors import RequestError

# A source reads a config into rows; splitting, checking and reading pictures are the same for all.
SOURCES: Mapping[str, Callable[[DataConfig], Rows]] = {
    "table": read_table,
    "folder": read_folder,
    "hub": read_hub,
    "saved": read_saved,
    "wilds": read_wilds,
    "imagenet": read_imagenet,
}


def load_data(config: DataConfig) -> DataBundle:
    """Load, check and split the data that `config` describes; a preset is prepared on first use.

    Raises:
        RequestError: at any fault of the data.

    Example:
        >>> bundle = load_data(DataConfig(preset="digits"))  # doctest: +SKIP
        >>> len(bundle.train), sorted(bundle.ood_test)  # doctest: +SKIP
        (2000, ['optdigits'])
    """
    name = config.preset or config.dataset or config.name or Path(config.path or "").stem
    if config.preset is not None:
        config = as_table(config)
    if config.source is None or config.source not in SOURCES:
        raise RequestError(
            "data: source 'objects' is for Python: give the objects to tether.data.from_objects; in a config "
            f"use one of {', '.join(SOURCES)}"
        )
    return assemble(name, SOURCES[config.source](config), config)


def assemble(name: str, rows: Rows, config: DataConfig) -> DataBundle:
    """Split and verify rows.

    Rows are split before unreadable ones are left out, so a broken file moves no other row to another set.

    Raises:
        RequestError: at any fault of the rows.
    """
    columns = rows.columns
    read = _reader(config, rows)
    classes, labels = read_labels(rows, columns.label, rows.classes or class_list(config.classes))
    domains = None if columns.domain is None else rows.words(columns.domain)
    groups = _joined(rows, columns.group)
    sets, idle = _split(config, rows, labels, domains, groups)
    dropped = len(labels) - idle - sum(len(part) for part in sets.values())

    used = np.sort(np.concatenate(list(sets.values()))) if sets else np.arange(0)
    verified = verify(rows, read, config.on_error, used)
    readable = verified.readable
    sets = {name: part[readable[part]] for name, part in sets.items()}
    sets = limited(
        {name: part for name, part in sets.items() if len(part)}, labels, config.limit, config.seed
    )
    notes = check_sets(rows.where, sets, labels, classes, rows.published)

    # A batch's group is the domain where there is one: it is what worst-group metrics are asked about.
    subgroups = None if columns.subgroup is None else rows.words(columns.subgroup)
    group_names, codes = _codes(subgroups or domains or groups)
    members = rows.members
    everything = Examples(
        rows=rows.dataset.select_columns([read.column]),
        read=read,
        labels=labels,
        ids=np.arange(len(labels)),
        digests=verified.digests,
        groups=codes,
        members=None if members is None else members[1],
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
        answers={name: answer for name, answer in rows.answers.items() if name in sets},
        members=() if members is None else members[0],
        notes=(*rows.notes, *notes),
        faults=verified.faults,
    )


def _reader(config: DataConfig, rows: Rows) -> Read:
    if rows.columns.text is not None:
        return Texts(rows.columns.text)
    return Pictures(rows.columns.image or "", rows.root, config.size)


def _joined(rows: Rows, columns: tuple[str, ...]) -> list[str] | None:
    if not columns:
        return None
    # A unit separator between the parts: ("a", "b c") and ("a b", "c") are two groups.
    return ["\x1f".join(parts) for parts in zip(*(rows.words(c) for c in columns), strict=True)]


def _split(
    config: DataConfig, rows: Rows, labels: Ints, domains: Sequence[str] | None, groups: list[str] | None
) -> tuple[Sets, int]:
    """The sets, and how many rows the source itself puts in none."""
    fractions, columns = config.fractions or Fractions(), rows.columns
    idle, codes = 0, _codes(groups)[1]
    if columns.split is not None:
        splits = rows.words(columns.split)
        sets, idle = by_column(rows.where, splits, domains, groups), sum(not split for split in splits)
    elif config.split_time is not None and columns.time is not None:
        times = read_times(rows.where, columns.time, rows.values(columns.time))
        return completed(
            by_time(rows.where, times, config.split_time, groups), labels, codes, fractions, config.seed
        ), 0
    else:
        ood = config.ood_domains or OodDomains()
        return by_fraction(rows.where, labels, fractions, domains, ood, groups, config.seed), 0
    return completed(sets, labels, codes, fractions, config.seed) if rows.completes else sets, idle


def _codes(names: Sequence[str] | None) -> tuple[tuple[str, ...], Ints | None]:
    if names is None:
        return (), None
    known, codes = np.unique(np.asarray(names), return_inverse=True)
    return tuple(known.tolist()), codes.reshape(-1).astype(np.int64)
