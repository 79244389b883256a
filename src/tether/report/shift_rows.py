"""Accuracy of every method on every set, and whether it differs from the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tether.evaluation.headline import ID, SetKey, is_seen
from tether.evaluation.statistics import UNKNOWN, Interval, holm
from tether.report.measured import Draws, MethodScores
from tether.report.method_rows import gap_of, reduction_of

SIGNIFICANCE = 0.05
ShiftOutcome = Literal["reference", "better", "worse", "inside the noise"]


@dataclass(frozen=True)
class ShiftRow:
    """One method on one evaluation set.

    Attributes:
        method: its name.
        key: the set.
        n: examples in it.
        accuracy: with its interval.
        difference: from the reference, paired; unknown for the reference itself.
        p_value: of that difference, two-sided, over the set's name (severities averaged).
        p_holm: the same, corrected for all names asked about this method.
        seen: whether training saw this shift; None when the configuration does not say.
        gap: 1 - this score/ID score, of the same examples where the set is made of some of ID's; NaN for the
            ID set itself.
        gap_reduction: relative, against the reference; NaN ("n/a") when the reference has a gap <= 0.01 here.
    """

    method: str
    key: SetKey
    n: int
    accuracy: Interval
    difference: Interval
    p_value: float
    p_holm: float
    seen: bool | None
    gap: Interval
    gap_reduction: Interval

    @property
    def outcome(self) -> ShiftOutcome:
        """What may be said of the difference: a direction only where the corrected p is below 0.05."""
        if math.isnan(self.p_holm):
            return "reference"
        if self.p_holm >= SIGNIFICANCE:
            return "inside the noise"
        return "better" if self.difference.value > 0 else "worse"


def shift_rows(methods: Sequence[MethodScores], base: MethodScores) -> tuple[ShiftRow, ...]:
    """Rows of all methods, method by method, sets in sorted order."""
    return tuple(row for m in methods for row in _of_method(m, base))


def _of_method(m: MethodScores, base: MethodScores) -> list[ShiftRow]:
    names = list(dict.fromkeys(k.evalset for k in m.keys))
    # One question a name, not one a severity: the severities of a corruption stand and fall together.
    p = [float("nan") if m is base else _p_value(m, base, name) for name in names]
    corrected = dict(zip(names, zip(p, holm(p), strict=True), strict=True))
    seen = [run.seen for run in m.runs]
    rows = []
    for i, key in enumerate(m.keys):
        mine = Draws(float(m.points[i]), m.draws[:, i])
        row = ShiftRow(
            method=m.method,
            key=key,
            n=len(m.runs[0].sets[i].labels),
            accuracy=mine.interval(),
            difference=UNKNOWN,
            p_value=corrected[key.evalset][0],
            p_holm=corrected[key.evalset][1],
            seen=None if any(s is None for s in seen) else any(is_seen(key, s) for s in seen if s),
            gap=UNKNOWN if key.kind == ID else gap_of(_clean(m, i), mine).interval(),
            gap_reduction=UNKNOWN,
        )
        if m is not base:
            reference = Draws(float(base.points[i]), base.draws[:, i])
            row = replace(row, difference=mine.minus(reference).interval())
            if key.kind != ID:
                gaps = gap_of(_clean(m, i), mine), gap_of(_clean(base, i), reference)
                row = replace(row, gap_reduction=reduction_of(*gaps))
        rows.append(row)
    return rows


def _clean(m: MethodScores, i: int) -> Draws:
    """The ID score that the gap of set i is taken against."""
    return Draws(float(m.clean_points[i]), m.clean_draws[:, i])


def _p_value(m: MethodScores, base: MethodScores, name: str) -> float:
    """Two-sided p of the paired difference on one set, its severities averaged."""
    mine = [i for i, k in enumerate(m.keys) if k.evalset == name]
    return Draws(
        float((m.points - base.points)[mine].mean()), (m.draws - base.draws)[:, mine].mean(axis=1)
    ).p_value()
