"""examine: what is wrong with the data, before anything is spent on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tether.batch import Batch
from tether.data.bundle import DataBundle
from tether.data.examples import Examples, Ints
from tether.data.label_order import against_model, permuted
from tether.data.near import near_duplicates
from tether.data.text_length import Lengths, lengths
from tether.progress import bar

# Beyond ten to one plain accuracy rewards a model that never answers the rare class.
IMBALANCED = 10.0
ROLE = {"train": 0, "id_val": 1, "ood_val": 1, "id_test": 2, "ood_test": 2, "stress": 2}
NEAR = 0.95  # cosine from which on two samples count as nearly the same
BATCH = 64
SHOWN_GROUPS = 20

Embed = Callable[[Batch], NDArray[np.floating]]


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
        groups: set -> domain or subgroup -> rows; {} where there are none.
        absent: set -> classes without a row there; only sets that lack some they are asked for.
        near: (earlier set, later set) -> rows of the later one with a near-duplicate in the earlier one,
            exact ones included; {} when no embedding was given.
        order: in words, where labels may mean another class.
        lengths: set -> how long its texts are; {} when no token counter was given.
        faults: the first unreadable rows, in words.
        notes: what the source says of itself.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    duplicates: Mapping[tuple[str, str], int]
    shared_domains: tuple[str, ...]
    imbalance: float
    skipped: int
    dropped: int
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    near: Mapping[tuple[str, str], int] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    lengths: Mapping[str, Lengths] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def leakage(self) -> bool:
        """Whether a score on some set would be flattered by what was seen before it.

        Near-duplicates are not counted: two short texts may be near without being copies, so they are shown
        for a person to judge.
        """
        return bool(self.duplicates or self.shared_domains)

    @property
    def imbalanced(self) -> bool:
        """Whether plain accuracy misleads; then read balanced accuracy."""
        return self.imbalance > IMBALANCED


def examine(
    bundle: DataBundle,
    embed: Embed | None = None,
    count_tokens: Callable[[Sequence[str]], Sequence[int]] | None = None,
    max_tokens: int | None = None,
    model_classes: Sequence[str] | None = None,
    threshold: float = NEAR,
) -> Findings:
    """Count and compare the sets; without `embed` and `count_tokens` no sample is read.

    Args:
        bundle: the data; its digests were taken when it was loaded.
        embed: gives a batch's embeddings, (B, D), for near-duplicates and for labels in another order.
        count_tokens: gives the tokens of each text, special ones included.
        max_tokens: the model's limit, beyond which texts are cut.
        model_classes: the classes of a model's own head, in its order.
        threshold: cosine from which on two samples are nearly the same.

    Example:
        >>> examine(load_data(DataConfig(preset="digits"))).leakage  # doctest: +SKIP
        False
    """
    sets = bundle.sets()
    contents = {name: [d.tobytes() for d in examples.digests] for name, examples in sets.items()}
    duplicates = {}
    for earlier, later in _pairs(sets):
        held = set(contents[earlier])
        if n := sum(content in held for content in contents[later]):
            duplicates[earlier, later] = n
    near, order = {}, [] if model_classes is None else against_model(bundle.classes, model_classes)
    if embed is not None:
        embedded = _embedded(sets, embed)
        for earlier, later in _pairs(sets):
            if n := len(near_duplicates(embedded[earlier], embedded[later], threshold)):
                near[earlier, later] = n
        order += permuted(embedded, {name: e.labels for name, e in sets.items()}, bundle.classes)
    train = np.bincount(bundle.train.labels, minlength=len(bundle.classes))
    return Findings(
        classes=bundle.classes,
        counts={name: _counts(examples.labels, bundle.classes) for name, examples in sets.items()},
        duplicates=duplicates,
        shared_domains=_shared_domains(bundle),
        imbalance=float(train.max() / max(int(train[train > 0].min()), 1)),
        skipped=bundle.skipped,
        dropped=bundle.dropped,
        groups={name: _counts(e.groups, bundle.groups) for name, e in sets.items() if e.groups is not None},
        absent=_absent(bundle, sets),
        near=near,
        order=tuple(order),
        lengths={} if count_tokens is None else lengths(sets, count_tokens, max_tokens),
        faults=bundle.faults,
        notes=bundle.notes,
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
    _show_groups(findings, console)
    for line in lines(findings):
        console.print(line, markup=False)


def _show_groups(findings: Findings, console: Console) -> None:
    totals: dict[str, int] = {}
    for counts in findings.groups.values():
        for name, n in counts.items():
            totals[name] = totals.get(name, 0) + n
    if len(totals) < 2:
        return
    shown = sorted(totals, key=lambda name: -totals[name])[:SHOWN_GROUPS]
    more = f", the largest {SHOWN_GROUPS} of {len(totals)}" if len(totals) > SHOWN_GROUPS else ""
    table = Table(title=f"rows per domain or group and set{more}")
    table.add_column("domain or group")
    for name in findings.groups:
        table.add_column(name, justify="right", overflow="fold")
    for name in shown:
        table.add_row(name, *(str(counts[name]) for counts in findings.groups.values()))
    console.print(table)


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
    said += [
        f"{n} rows of {later} are the same as one of {earlier}, or nearly: look at them"
        for (earlier, later), n in findings.near.items()
    ]
    said += findings.order
    said += [
        f"{name} has no row of {len(classes)} classes, {classes[0]!r} among them"
        for name, classes in findings.absent.items()
    ]
    said += [text for name, found in findings.lengths.items() if (text := found.words(name))]
    if findings.imbalanced:
        said.append(f"train is imbalanced, {findings.imbalance:.1f} to 1: read balanced accuracy")
    if findings.skipped:
        said.append(f"{findings.skipped} rows could not be read and were skipped")
        said += [f"  {fault}" for fault in findings.faults]
    if findings.dropped:
        said.append(f"{findings.dropped} rows were left out so that no group lies on two sides")
    said += findings.notes
    return [*said, f"leakage: {'yes' if findings.leakage else 'none found'}"]


def _role(name: str) -> int:
    return ROLE[name.partition("/")[0]]


def _pairs(sets: Mapping[str, Examples]) -> list[tuple[str, str]]:
    """Sets of different use, the one seen earlier first."""
    ordered = combinations(sorted(sets, key=_role), 2)
    return [(earlier, later) for earlier, later in ordered if _role(earlier) < _role(later)]


def _counts(codes: Ints, names: Sequence[str]) -> dict[str, int]:
    found = np.bincount(codes, minlength=len(names))
    return {name: int(n) for name, n in zip(names, found, strict=True)}


def _absent(bundle: DataBundle, sets: Mapping[str, Examples]) -> dict[str, tuple[str, ...]]:
    lacking = {}
    for name, examples in sets.items():
        classes = np.setdiff1d(bundle.class_index(name), examples.labels)
        if len(classes):
            lacking[name] = tuple(bundle.classes[c] for c in classes)
    return lacking


def _embedded(sets: Mapping[str, Examples], embed: Embed) -> dict[str, NDArray[np.floating]]:
    found = {}
    with bar("embedding the data", sum(len(examples) for examples in sets.values())) as progress:
        for name, examples in sets.items():
            parts = []
            for start in range(0, len(examples), BATCH):
                batch = examples.batch(range(start, min(start + BATCH, len(examples))))
                parts.append(np.asarray(embed(batch), dtype=np.float32))
                progress.advance(len(batch))
            found[name] = np.concatenate(parts)
    return found


def _shared_domains(bundle: DataBundle) -> tuple[str, ...]:
    if bundle.train.groups is None:
        return ()
    seen = {bundle.groups[g] for g in np.unique(bundle.train.groups)}
    return tuple(name for name in bundle.sets() if name[:3] == "ood" and name.partition("/")[2] in seen)
