"""Compares methods over their runs: one row a method, one row a method and shift, and a verdict each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tether.errors import RequestError, nearest
from tether.evaluation.bootstrap import RESAMPLES, percentile_interval
from tether.evaluation.headline import SYNTHETIC, headline_kind, id_weights, kind_weights
from tether.evaluation.metrics import relative_reduction, robustness_gap, robustness_gap_chance
from tether.evaluation.statistics import UNKNOWN, Interval, t_interval
from tether.report.measured import Draws, MethodScores, measure
from tether.report.names import base_name
from tether.report.records import Run
from tether.report.runs import check_comparable
from tether.report.shift_rows import ShiftRow, shift_rows
from tether.report.verdicts import SMALLEST_REFERENCE_GAP, Outcome, outcome, percent, verdict


@dataclass(frozen=True)
class Row:
    """One method. Scores, gaps and changes are fractions with 95% bootstrap intervals (examples, seeds).

    Attributes:
        method: its name.
        seeds: the seeds it was run with.
        id_accuracy: on the ID test set.
        ood_accuracy: mean over the headline sets (`Comparison.ood_kind`).
        gap: 1 - OOD/ID.
        gap_over_seeds: mean gap of the seeds with its t interval; ends NaN with one seed.
        gap_chance: the gap with chance level taken off both scores.
        synthetic_accuracy: mean over severities, then corruptions.
        synthetic_gap: 1 - synthetic/ID.
        gap_reduction: relative, against the reference; NaN ("n/a") when the reference has a gap <= 0.01.
        gap_change: absolute, against the reference.
        id_change: against the reference.
        ood_change: against the reference.
        trainable_parameters: mean over seeds, like all costs below; NaN where a run does not say.
        total_parameters: all of the model.
        train_seconds: without the teachers.
        teacher_seconds: spent on making teachers and their outputs.
        step_seconds: one training step.
        peak_memory_bytes: of the run.
        inside_noise: whether the gap's interval of the difference holds 0; False for the reference itself.
        outcome: what may be claimed.
        verdict: the sentence.
    """

    method: str
    seeds: tuple[int, ...]
    id_accuracy: Interval
    ood_accuracy: Interval
    gap: Interval
    gap_over_seeds: Interval
    gap_chance: float
    synthetic_accuracy: Interval
    synthetic_gap: Interval
    gap_reduction: Interval
    gap_change: Interval
    id_change: Interval
    ood_change: Interval
    trainable_parameters: float
    total_parameters: float
    train_seconds: float
    teacher_seconds: float
    step_seconds: float
    peak_memory_bytes: float
    inside_noise: bool
    outcome: Outcome
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Methods side by side.

    Attributes:
        reference: the method that the others are measured against.
        ood_kind: what the headline OOD is made of, "natural" or "synthetic".
        rows: one a method; the reference first, the others as given.
        shifts: accuracy of each method on each set, with differences from the reference.
        classes: class names by label.
        resamples: of the bootstrap.
        problems: what the reader should know about the runs, one sentence each.
    """

    reference: str
    ood_kind: str
    rows: tuple[Row, ...]
    shifts: tuple[ShiftRow, ...]
    classes: tuple[str, ...]
    resamples: int
    problems: tuple[str, ...]


def compare_runs(
    runs: Sequence[Run], reference: str | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare the methods of these runs on the examples they share.

    Args:
        runs: any number of methods and seeds, evaluated on the same sets.
        reference: a method's name; by default "finetune" where present, else the first run's method.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        RequestError: for an unknown reference, or runs that cannot stand side by side.

    Example:
        >>> comparison = compare_runs(read_runs(find_runs(Path("runs"))))  # doctest: +SKIP
        >>> print(comparison.rows[0].verdict)  # doctest: +SKIP
    """
    check_comparable(runs)
    methods = tuple(dict.fromkeys(run.method for run in runs))
    if reference is None:
        reference = next((m for m in methods if base_name(m) == "finetune"), methods[0])
    if reference not in methods:
        raise RequestError(
            f"compare: the reference {reference!r} is not among the runs; {nearest(reference, methods)}"
        )
    scores = measure(runs, resamples, seed)
    base = next(m for m in scores if m.method == reference)
    ordered = (base, *(m for m in scores if m is not base))
    return Comparison(
        reference=reference,
        ood_kind=headline_kind(runs[0].keys),
        rows=tuple(_row(m, base, len(runs[0].classes)) for m in ordered),
        shifts=shift_rows(ordered, base),
        classes=runs[0].classes,
        resamples=resamples,
        problems=(*_mixed_configs(scores), *(p for run in runs for p in run.problems)),
    )


def _gap(id_score: Draws, ood: Draws) -> Draws:
    return Draws(robustness_gap(id_score.value, ood.value), robustness_gap(id_score.draws, ood.draws))


def _row(m: MethodScores, base: MethodScores, classes: int) -> Row:
    kind = headline_kind(m.keys)
    inside, shifted, synthetic = m.id(), m.kind(kind), m.kind(SYNTHETIC)
    gap, base_gap = _gap(inside, shifted), _gap(base.id(), base.kind(kind))
    id_change = inside.minus(base.id()).interval()
    ood_change = shifted.minus(base.kind(kind)).interval()
    gap_change = gap.minus(base_gap).interval()
    reduction = percentile_interval(
        float(relative_reduction(np.asarray(gap.value), np.asarray(base_gap.value), SMALLEST_REFERENCE_GAP)),
        relative_reduction(gap.draws, base_gap.draws, SMALLEST_REFERENCE_GAP),
    )
    result = outcome(reduction, gap_change, id_change)
    sentence = verdict(
        m.method, base.method, result, reduction, gap_change, id_change, ood_change, len(m.runs)
    )
    if m is base:
        result, reduction = "reference", UNKNOWN
        sentence = (
            f"{m.method}: the reference. ID {percent(inside.value)}%, shifted {percent(shifted.value)}%, "
            f"gap {percent(gap.value)}%."
        )
    return Row(
        method=m.method,
        seeds=tuple(run.seed for run in m.runs),
        id_accuracy=inside.interval(),
        ood_accuracy=shifted.interval(),
        gap=gap.interval(),
        gap_over_seeds=t_interval(_gaps_of_seeds(m, kind)),
        gap_chance=robustness_gap_chance(inside.value, shifted.value, 1.0 / classes),
        synthetic_accuracy=synthetic.interval(),
        synthetic_gap=_gap(inside, synthetic).interval(),
        gap_reduction=reduction,
        gap_change=gap_change,
        id_change=id_change,
        ood_change=ood_change,
        trainable_parameters=_mean(m.runs, "trainable_parameters"),
        total_parameters=_mean(m.runs, "total_parameters"),
        train_seconds=_mean(m.runs, "train_seconds"),
        teacher_seconds=_mean(m.runs, "teacher_seconds"),
        step_seconds=_mean(m.runs, "step_seconds"),
        peak_memory_bytes=_mean(m.runs, "peak_memory_bytes"),
        inside_noise=result == "inside the noise",
        outcome=result,
        verdict=sentence,
    )


def _gaps_of_seeds(m: MethodScores, kind: str) -> list[float]:
    """RG of every seed on its own."""
    gaps = robustness_gap(m.seed_points @ id_weights(m.keys), m.seed_points @ kind_weights(m.keys, kind))
    return [float(g) for g in gaps]


def _mean(runs: Sequence[Run], key: str) -> float:
    return float(np.mean([run.number(key) for run in runs]))


def _mixed_configs(scores: Sequence[MethodScores]) -> list[str]:
    """Seeds of one method that were not run with one configuration: their mean would mix two methods."""
    out = []
    for m in scores:
        settings = [{k: v for k, v in run.config.items() if k not in ("seed", "output")} for run in m.runs]
        if odd := sorted({k for s in settings for k in {*s, *settings[0]} if s.get(k) != settings[0].get(k)}):
            out.append(
                f"{m.method}: its seeds were run with different {', '.join(odd)}; their mean mixes them"
            )
    return out
