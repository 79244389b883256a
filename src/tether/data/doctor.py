"""examine: what is wrong with the data, before anything is spent on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from rich.console import Console
from rich.table import Table

from tether.data.bundle import DataBundle
from tether.data.examples import Examples

# Beyond ten to one plain accuracy rewards a model that never answers the rare class.
IMBALANCED = 10.0
ROLE = {"train": 0, "id_val": 1, "ood_val": 1, "id_test": 2, "ood_test": 2}


@dataclass(frozen=True)
class Findings:
    """What `examine` found.

    Attributes:
        classes: class names.
        counts: set -> class -> rows.
        duplicates: (earlier set, later set) -> rows of the later one whose content the earlier one holds
            too, for sets of different use (training, validation, test); only pairs with any.
        shared_domains: OOD sets whose domain is also a training domain.
        imbalance: largest over smallest class of train.
        skipped: unreadable rows left out.
        dropped: rows left out so that no group lies on two sides.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    duplicates: Mapping[tuple[str, str], int]
    shared_domains: tuple[str, ...]
    imbalance: float
    skipped: int
    dropped: int

    @property
    def leakage(self) -> bool:
        """Whether a score on some set would be flattered by what was seen before it."""
        return bool(self.duplicates or self.shared_domains)

    @property
    def imbalanced(self) -> bool:
        """Whether plain accuracy misleads; then read balanced accuracy."""
        return self.imbalance > IMBALANCED


def examine(bundle: DataBundle) -> Findings:
    """Count and compare the sets; reads no picture, the digests were taken when the data was loaded.

    Example:
        >>> examine(load_data(DataConfig(preset="digits"))).leakage  # doctest: +SKIP
        False
    """
    sets = bundle.sets()
    contents = {name: [d.tobytes() for d in examples.digests] for name, examples in sets.items()}
    duplicates = {}
    for earlier, later in combinations(sorted(sets, key=_role), 2):
        if _role(earlier) < _role(later):
            held = set(contents[earlier])
            if n := sum(content in held for content in contents[later]):
                duplicates[earlier, later] = n
    train = np.bincount(bundle.train.labels, minlength=len(bundle.classes))
    return Findings(
        classes=bundle.classes,
        counts={name: _counts(examples, bundle.classes) for name, examples in sets.items()},
        duplicates=duplicates,
        shared_domains=_shared_domains(bundle),
        imbalance=float(train.max() / max(int(train[train > 0].min()), 1)),
        skipped=bundle.skipped,
        dropped=bundle.dropped,
    )


def show(findings: Findings, console: Console) -> None:
    """Print the findings: a table of counts, then a line for each thing worth a look."""
    table = Table(title="rows per class and set")
    table.add_column("class")
    for name in findings.counts:
        table.add_column(name, justify="right", overflow="fold")
    for c in findings.classes:
        table.add_row(c, *(str(counts[c]) for counts in findings.counts.values()))
    table.add_row("all", *(str(sum(counts.values())) for counts in findings.counts.values()))
    console.print(table)
    for line in lines(findings):
        console.print(line, markup=False)


def lines(findings: Findings) -> list[str]:
    """The findings in words, the gravest first; the last line says whether anything leaks."""
    said = [
        f"{n} rows of {later} are also in {earlier}, exactly"
        for (earlier, later), n in findings.duplicates.items()
    ]
    said += [
        f"{name} is out of distribution by name only: train has its domain"
        for name in findings.shared_domains
    ]
    if findings.imbalanced:
        said.append(f"train is imbalanced, {findings.imbalance:.1f} to 1: read balanced accuracy")
    if findings.skipped:
        said.append(f"{findings.skipped} rows could not be read and were skipped")
    if findings.dropped:
        said.append(f"{findings.dropped} rows were left out so that no group lies on two sides")
    return [*said, f"leakage: {'yes' if findings.leakage else 'none found'}"]


def _role(name: str) -> int:
    return ROLE[name.partition("/")[0]]


def _counts(examples: Examples, classes: tuple[str, ...]) -> dict[str, int]:
    found = np.bincount(examples.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, found, strict=True)}


def _shared_domains(bundle: DataBundle) -> tuple[str, ...]:
    if bundle.train.groups is None:
        return ()
    seen = {bundle.groups[g] for g in np.unique(bundle.train.groups)}
    return tuple(name for name in bundle.sets() if name[:3] == "ood" and name.partition("/")[2] in seen)
