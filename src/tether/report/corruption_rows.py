"""mCE where it is defined, else nCE against the reference method, for every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.bootstrap import percentile_interval
from tether.evaluation.corruption_error import (
    ALEXNET,
    ALEXNET_CLEAN,
    SEVERITIES,
    alexnet_errors,
    corruption_errors,
    relative_corruption_errors,
    why_no_mce,
)
from tether.evaluation.headline import ID, SYNTHETIC, is_seen
from tether.evaluation.statistics import Interval
from tether.report.measured import MethodScores
from tether.report.paired import rows_at_home
from tether.report.records import Run


@dataclass(frozen=True)
class CorruptionRow:
    """One method.

    Attributes:
        method: its name.
        mean: over corruptions, a fraction: 1 is as many errors as the reference; with its interval.
        relative: the same of the errors beyond the clean one, at the point.
        errors: CE of each corruption; NaN where the reference makes no error.
    """

    method: str
    mean: Interval
    relative: float
    errors: Mapping[str, float]


@dataclass(frozen=True)
class CorruptionTable:
    """Corruption errors of all methods.

    Attributes:
        name: "mCE" or "nCE"; "" where there is neither.
        against: "AlexNet", or the reference method.
        reason: why it is not mCE, or nothing at all; "" for mCE.
        seen: corruptions in it that some method saw in training; nCE leaves them out.
        rows: one a method.
    """

    name: str
    against: str
    reason: str
    seen: tuple[str, ...]
    rows: tuple[CorruptionRow, ...]

    def of(self, method: str) -> CorruptionRow | None:
        """The row of a method; None where there is none."""
        return next((row for row in self.rows if row.method == method), None)


def corruption_table(
    methods: Sequence[MethodScores], base: MethodScores, metric: str = "accuracy"
) -> CorruptionTable:
    """Corruption errors over the synthetic sets; mCE only by ImageNet-C's protocol (METHODS 1.12)."""
    run = base.runs[0]
    if not any(k.kind == ID for k in base.keys):
        return CorruptionTable("", "", "no ID test set to know the clean error by", (), ())
    tested: dict[str, list[int]] = {}
    for k in base.keys:
        if k.kind == SYNTHETIC:
            tested.setdefault(k.evalset, []).append(k.severity)
    reason = why_no_mce(tested, len(run.classes), run.picture_size)
    if metric != "accuracy":
        return CorruptionTable("", "", f"corruption error is of accuracy, not of {metric}", (), ())
    if not reason:
        seen = tuple(sorted(base.seen & set(ALEXNET)))
        chosen = dict.fromkeys(ALEXNET, SEVERITIES)
        return CorruptionTable("mCE", "AlexNet", "", seen, tuple(_row(m, None, chosen) for m in methods))
    unseen = {
        k.evalset: tuple(tested[k.evalset])
        for k in base.keys
        if k.kind == SYNTHETIC and not is_seen(k, base.seen)
    }
    if not unseen:
        return CorruptionTable("", "", "no synthetic shift that training did not see", (), ())
    return CorruptionTable("nCE", base.method, reason, (), tuple(_row(m, base, unseen) for m in methods))


def _row(m: MethodScores, base: MethodScores | None, chosen: Mapping[str, Sequence[int]]) -> CorruptionRow:
    """Against `base`, or AlexNet."""
    mine, clean = _errors(m, chosen), _clean_error(m, chosen)
    theirs = alexnet_errors() if base is None else _errors(base, chosen)
    their_clean = ALEXNET_CLEAN if base is None else _clean_error(base, chosen)
    errors = corruption_errors(mine, theirs)
    relative = relative_corruption_errors(mine, clean, theirs, their_clean)
    draws = []
    for name, severities in chosen.items():
        at = [_place(m, name, s) for s in severities]
        above = (1 - m.draws[:, at]).sum(axis=1)
        below = (
            np.full(len(above), len(at) * ALEXNET[name])
            if base is None
            else (1 - base.draws[:, at]).sum(axis=1)
        )
        ratio = np.full(len(above), np.nan)
        np.divide(above, below, out=ratio, where=below > 0)
        draws.append(ratio)
    mean = float(np.mean(list(errors.values())))
    return CorruptionRow(
        m.method,
        percentile_interval(mean, np.mean(draws, axis=0)),
        float(np.mean(list(relative.values()))),
        errors,
    )


def _place(m: MethodScores, name: str, severity: int) -> int:
    return next(
        i for i, k in enumerate(m.keys) if (k.evalset, k.kind, k.severity) == (name, SYNTHETIC, severity)
    )


def _errors(m: MethodScores, chosen: Mapping[str, Sequence[int]]) -> dict[str, dict[int, float]]:
    return {
        name: {s: 1 - float(m.points[_place(m, name, s)]) for s in severities}
        for name, severities in chosen.items()
    }


def _clean_error(m: MethodScores, chosen: Mapping[str, Sequence[int]]) -> float:
    """On the examples that were corrupted, where they are a part of the ID test set; else on all of it."""
    name, severities = next(iter(chosen.items()))
    at = _place(m, name, severities[0])
    return float(np.mean([_clean_of_run(run, at) for run in m.runs]))


def _clean_of_run(run: Run, at: int) -> float:
    clean = next((s for s in run.sets if s.key.evalset == "id_test"), None)
    clean = clean or next(s for s in run.sets if s.key.kind == ID)
    rows = rows_at_home(run.sets[at], clean)
    return 1 - float(clean.correct()[slice(None) if rows is None else rows].mean())
