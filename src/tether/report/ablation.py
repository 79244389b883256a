"""Which part of a method carries its gain: every row of an ablation against the whole method, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tether.errors import RequestError
from tether.evaluation.bootstrap import RESAMPLES
from tether.evaluation.headline import headline_kind
from tether.evaluation.statistics import Interval, holm
from tether.report.measured import Draws, MethodScores, measure
from tether.report.method_rows import gap_of
from tether.report.records import Run
from tether.report.runs import check_comparable
from tether.report.verdicts import bounds, percent

CONTROL = "control"
LEVEL = 0.05  # of the corrected p below which a difference counts


@dataclass(frozen=True)
class Change:
    """A difference from the whole method, paired over examples and seeds.

    Attributes:
        by: row minus whole method, with its 95% interval.
        p_holm: two-sided p, corrected over all rows of the table (Holm); NaN where nothing was measured.
    """

    by: Interval
    p_holm: float

    @property
    def inside_noise(self) -> bool:
        """Whether the interval holds 0, or the corrected p is not small; both must speak for a difference."""
        return not (self.by.excludes_zero and self.p_holm < LEVEL)


@dataclass(frozen=True)
class AblationRow:
    """One row beside the whole method; scores are fractions.

    Attributes:
        name: such as "without feature".
        kind: "term", "teacher", "shift", "after", "option" or "control".
        same: other names of this row.
        seeds: it was run with.
        steps: of training, of the first seed; NaN where the run does not say.
        id_accuracy: with its interval, like the next two.
        ood_accuracy: mean over the headline sets.
        gap: 1 - OOD/ID.
        id_change: against the whole method, like the next two.
        ood_change: below 0 where leaving the part out costs shifted accuracy.
        gap_change: above 0 where the part makes the gap smaller.
    """

    name: str
    kind: str
    same: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: float
    id_accuracy: Interval
    ood_accuracy: Interval
    gap: Interval
    id_change: Change
    ood_change: Change
    gap_change: Change


@dataclass(frozen=True)
class AblationTable:
    """The whole method, and its rows: parts by how much they carry, then the controls likewise.

    Attributes:
        full: name of the whole method's row.
        method: its method.
        ood_kind: what OOD is made of, "natural" or "synthetic".
        whole: (ID, OOD, gap) of the whole method.
        rows: sorted by the change of the gap, parts first.
        findings: what may be said, a sentence each.
        skipped: row -> why it could not run.
        notes: what weakens the table.
    """

    full: str
    method: str
    ood_kind: str
    whole: tuple[Interval, Interval, Interval]
    rows: tuple[AblationRow, ...]
    findings: tuple[str, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]


def ablation_table(
    runs: Sequence[Run],
    full: str,
    method: str,
    kinds: Mapping[str, str],
    same: Mapping[str, tuple[str, ...]],
    skipped: Mapping[str, str],
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> AblationTable:
    """Compare every row with the whole method on the examples they share.

    Args:
        runs: any number of seeds a row; `Run.method` is the row's name.
        full: the whole method's row.
        method: its method, for the reader.
        kinds: row -> kind.
        same: row -> its other names.
        skipped: row -> why it could not run.
        notes: sentences to pass on.
        resamples: of the bootstrap.

    Raises:
        RequestError: the whole method did not finish, or the runs cannot stand side by side.

    Example:
        >>> table = ablation_table(runs, "full", "rdft", kinds, {}, {})  # doctest: +SKIP
        >>> table.rows[0].name, table.rows[0].gap_change.inside_noise  # doctest: +SKIP
        ('without robust', False)
    """
    if full not in {run.method for run in runs}:
        raise RequestError("ablate: the whole method did not finish, so there is nothing to compare with")
    check_comparable(runs)
    scores = measure(runs, resamples)
    base = next(m for m in scores if m.method == full)
    others = [m for m in scores if m is not base]
    three = [_three(m) for m in others]
    changes = [[a.minus(b) for a, b in zip(t, _three(base), strict=True)] for t in three]
    corrected = [holm([row[k].p_value() for row in changes]) for k in range(3)]
    rows = []
    for i, (m, (inside, shifted, gap), diff) in enumerate(zip(others, three, changes, strict=True)):
        id_change, ood_change, gap_change = (
            Change(d.interval(), p[i]) for d, p in zip(diff, corrected, strict=True)
        )
        rows.append(
            AblationRow(
                name=m.method,
                kind=kinds[m.method],
                same=same.get(m.method, ()),
                seeds=tuple(run.seed for run in m.runs),
                steps=m.runs[0].number("steps"),
                id_accuracy=inside.interval(),
                ood_accuracy=shifted.interval(),
                gap=gap.interval(),
                id_change=id_change,
                ood_change=ood_change,
                gap_change=gap_change,
            )
        )
    rows.sort(key=lambda r: (r.kind == CONTROL, -np.nan_to_num(r.gap_change.by.value, nan=-np.inf)))
    own = _three(base)
    whole = (own[0].interval(), own[1].interval(), own[2].interval())
    return AblationTable(
        full=full,
        method=method,
        ood_kind=headline_kind(base.keys),
        whole=whole,
        rows=tuple(rows),
        findings=tuple(findings(method, whole, rows)),
        skipped=skipped,
        notes=(*notes, *_weak(base, others)),
    )


def _three(m: MethodScores) -> tuple[Draws, Draws, Draws]:
    """ID, OOD and gap."""
    inside, shifted = m.id(), m.kind(headline_kind(m.keys))
    clean = m.clean.kind(headline_kind(m.keys))  # ID on the examples that were shifted
    return inside, shifted, gap_of(clean, shifted)


def points(x: Interval) -> str:
    """A difference in points with its interval.

    Example:
        >>> points(Interval(0.05, 0.02, 0.08))
        '+5.0 [2.0, 8.0]'
    """
    sign = "+" if round(100 * x.value, 1) > 0 else ""
    return f"{sign}{percent(x.value)} {bounds(x)}"


def findings(
    method: str, whole: tuple[Interval, Interval, Interval], rows: Sequence[AblationRow]
) -> list[str]:
    """What the rows say, a sentence each.

    Args:
        method: its name.
        whole: ID, OOD and gap of the whole method.
        rows: parts by their change of the gap, then controls.
    """
    inside, shifted, gap = (percent(x.value) for x in whole)
    said = [f"The whole method ({method}): ID {inside}%, OOD {shifted}%, gap {gap}%."]
    parts = [r for r in rows if r.kind != CONTROL]
    carry = [r for r in parts if not r.gap_change.inside_noise and r.gap_change.by.value > 0]
    hurt = [r for r in reversed(parts) if not r.gap_change.inside_noise and r.gap_change.by.value < 0]
    if carry:
        said.append("The gap is larger, by more than the noise, with: " + "; ".join(map(_line, carry)) + ".")
    elif parts:
        said.append("No part, left out or changed, makes the gap larger by more than the noise.")
    if hurt:
        said.append("The gap is smaller, by more than the noise, with: " + "; ".join(map(_line, hurt)) + ".")
    quiet = [r for r in parts if r.gap_change.inside_noise]
    if quiet:
        said.append(f"Inside the noise of the gap: {', '.join(r.name for r in quiet)}.")
    # The gap is a ratio: a part that lifts both accuracies alike is seen only here.
    moved = [r for r in quiet if not r.ood_change.inside_noise]
    for word, sign in (("lower", -1), ("higher", 1)):
        if found := [r for r in moved if sign * r.ood_change.by.value > 0]:
            what = "; ".join(map(_line, found))
            said.append(f"Of these, OOD accuracy is {word}, by more than the noise, with: {what}.")
    controls = [r for r in rows if r.kind == CONTROL and r.gap_change.by.known]
    return said + [f"Control {_line(r)}: {_against(r)}." for r in controls]


def _line(r: AblationRow) -> str:
    id_, ood = r.id_change, r.ood_change
    marks = [" ~" if c.inside_noise else "" for c in (ood, id_)]
    return (
        f"{r.name}: gap {points(r.gap_change.by)}, OOD {points(ood.by)}{marks[0]}, "
        f"ID {points(id_.by)}{marks[1]}"
    )


def _against(r: AblationRow) -> str:
    if r.gap_change.inside_noise and not r.ood_change.inside_noise:
        more = "higher" if r.ood_change.by.value > 0 else "lower"
        return f"the gaps differ by no more than the noise, but its OOD accuracy is {more} by more than that"
    if r.gap_change.inside_noise:
        return "the gaps differ by no more than the noise, so that this shows no gain over it"
    if r.gap_change.by.value > 0:
        return "its gap is the larger one"
    return "its gap is smaller than the whole method's"


def _weak(base: MethodScores, others: Sequence[MethodScores]) -> list[str]:
    said = []
    seeds = {run.seed for run in base.runs}
    if len(seeds) < 2:
        said.append("One seed: the intervals cover the choice of test examples, not that of training.")
    steps = base.runs[0].number("steps")
    if uneven := [m.method for m in others if 0 < m.runs[0].number("steps") != steps]:
        said.append(f"Trained for other than the whole method's {steps:.0f} steps: {', '.join(uneven)}.")
    if odd := [m.method for m in others if {run.seed for run in m.runs} != seeds]:
        said.append(f"Not run with the same seeds as the whole method: {', '.join(odd)}.")
    return said
