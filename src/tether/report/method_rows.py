"""One row a method: its scores, its gap in every form, what changed against the reference, what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.bootstrap import percentile_interval
from tether.evaluation.headline import (
    ADVERSARIAL,
    NATURAL,
    SYNTHETIC,
    headline_kind,
    id_weights,
    is_seen,
    kind_weights,
)
from tether.evaluation.headline_metric import chance_level
from tether.evaluation.metrics import Floats, relative_reduction, robustness_gap, robustness_gap_chance
from tether.evaluation.statistics import UNKNOWN, Interval, t_interval
from tether.report.corruption_rows import CorruptionRow
from tether.report.effective_rows import ReferenceLine
from tether.report.measured import Draws, MethodScores
from tether.report.records import Run
from tether.report.verdicts import SMALLEST_REFERENCE_GAP, Outcome, outcome, percent, verdict


@dataclass(frozen=True)
class Row:
    """One method. Scores, gaps and changes are fractions with 95% bootstrap intervals (examples, seeds).

    A score is accuracy unless `Comparison.metric` names another metric. Shifts that some compared method saw
    in training are in none of the numbers but `seen_accuracy`.

    Attributes:
        method: its name.
        seeds: the seeds it was run with.
        id_accuracy: on the ID test set.
        ood_accuracy: mean over the headline sets (`Comparison.ood_kind`).
        gap: 1 - OOD/ID; with synthetic headline sets, ID is `synthetic_id_accuracy`.
        gap_over_seeds: mean gap of the seeds with its t interval; ends NaN with one seed.
        id_over_seeds: the same of the ID score; `ood_over_seeds` of the OOD score.
        gap_chance: the gap with chance level taken off both scores, with its interval's ends; NaN where a
            metric's chance level is not known.
        natural_accuracy: mean over the natural domains; `natural_gap` is 1 - that/ID.
        synthetic_accuracy: mean over severities, then corruptions.
        synthetic_id_accuracy: ID score on the examples that were corrupted, which `evaluate.limit` makes a
            part of the ID test set; `synthetic_gap` is 1 - synthetic/that.
        adversarial_accuracy: the same over attacks; with `adversarial_id_accuracy`, `adversarial_gap`.
        seen_accuracy: the same over shifts that some method saw in training; no evidence of robustness.
        gap_reduction: relative, against the reference: the ratio of mean gaps; NaN ("n/a") when the reference
            has a gap <= 0.01.
        gap_reduction_mean: the mean over shifts of each shift's own ratio, where the reference has a gap.
        gap_reduction_shifts: over how many shifts that is; the others are "n/a".
        gap_change: absolute, against the reference.
        gap_change_over_seeds: mean over the seeds both were run with, t interval; NaN where seeds differ.
        id_change: against the reference.
        ood_change: against the reference; relative robustness tau of Taori et al.
        effective_robustness: OOD accuracy above the line of ordinary models (`Comparison.line`); NaN without.
        extrapolated: whether no ordinary model is as weak, or as good, as this one on ID.
        corruption_error: mCE or nCE as a fraction (`Comparison.corruption` says which); NaN without.
        relative_corruption_error: the same of the errors beyond the clean one.
        trainable_parameters: mean over seeds, like all costs below; NaN where a run does not say.
        total_parameters: all of the model.
        train_seconds: without the teachers.
        teacher_seconds: spent on making teachers and their outputs.
        choose_seconds: of choosing on validation after the last step (mu, mixing, calibration).
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
    id_over_seeds: Interval
    ood_over_seeds: Interval
    gap_chance: float
    gap_chance_low: float
    gap_chance_high: float
    natural_accuracy: Interval
    natural_gap: Interval
    synthetic_accuracy: Interval
    synthetic_id_accuracy: Interval
    synthetic_gap: Interval
    adversarial_accuracy: Interval
    adversarial_id_accuracy: Interval
    adversarial_gap: Interval
    seen_accuracy: Interval
    gap_reduction: Interval
    gap_reduction_mean: Interval
    gap_reduction_shifts: int
    gap_change: Interval
    gap_change_over_seeds: Interval
    id_change: Interval
    ood_change: Interval
    effective_robustness: Interval
    extrapolated: bool
    corruption_error: Interval
    relative_corruption_error: float
    trainable_parameters: float
    total_parameters: float
    train_seconds: float
    teacher_seconds: float
    choose_seconds: float
    step_seconds: float
    peak_memory_bytes: float
    inside_noise: bool
    outcome: Outcome
    verdict: str

    @property
    def own_seconds(self) -> float:
        """Training and choosing; runs of older versions do not say how long they chose, and count 0."""
        return self.train_seconds + (0.0 if np.isnan(self.choose_seconds) else self.choose_seconds)


def method_row(
    m: MethodScores, base: MethodScores, line: ReferenceLine, corruption: CorruptionRow | None, metric: str
) -> Row:
    """The row of one method against the reference `base`."""
    kind = headline_kind(m.keys)
    inside, shifted = m.id(), m.kind(kind)
    at_home = m.clean.kind(kind)  # ID on the examples that were shifted: what a gap is against
    gap, base_gap = gap_of(at_home, shifted), gap_of(base.clean.kind(kind), base.kind(kind))
    id_change = inside.minus(base.id()).interval()
    ood_change = shifted.minus(base.kind(kind)).interval()
    gap_change = gap.minus(base_gap).interval()
    reduction = reduction_of(gap, base_gap)
    mean_reduction, shifts = _mean_of_ratios(m, base, kind)
    over_seeds = _paired_over_seeds(m, base, kind)
    result = outcome(reduction, gap_change, id_change)
    sentence = verdict(
        m.method, base.method, result, reduction, gap_change, id_change, ood_change, len(m.runs),
        over_seeds, metric,
    )  # fmt: skip
    if m is base:
        result, reduction, mean_reduction, shifts, over_seeds = "reference", UNKNOWN, UNKNOWN, 0, UNKNOWN
        sentence = (
            f"{m.method}: the reference. ID {percent(inside.value)}%{_same(at_home, inside)}, "
            f"shifted {percent(shifted.value)}%, "
            f"gap {percent(gap.value)}%."
        )
    chance = chance_level(metric, len(m.runs[0].classes))
    beyond_chance = percentile_interval(
        robustness_gap_chance(at_home.value, shifted.value, chance),
        robustness_gap_chance(at_home.draws, shifted.draws, chance),
    )
    by_kind = {k: m.kind(k) for k in (NATURAL, SYNTHETIC, ADVERSARIAL)}
    clean = {k: m.clean.kind(k) for k in by_kind}
    id_over_seeds, ood_over_seeds, gaps_over_seeds = (t_interval(v.tolist()) for v in _of_seeds(m, kind))
    rho = line.rho(m, kind)
    return Row(
        method=m.method,
        seeds=tuple(run.seed for run in m.runs),
        id_accuracy=inside.interval(),
        ood_accuracy=shifted.interval(),
        gap=gap.interval(),
        gap_over_seeds=gaps_over_seeds,
        id_over_seeds=id_over_seeds,
        ood_over_seeds=ood_over_seeds,
        gap_chance=beyond_chance.value,
        gap_chance_low=beyond_chance.low,
        gap_chance_high=beyond_chance.high,
        natural_accuracy=by_kind[NATURAL].interval(),
        natural_gap=gap_of(clean[NATURAL], by_kind[NATURAL]).interval(),
        synthetic_accuracy=by_kind[SYNTHETIC].interval(),
        synthetic_id_accuracy=clean[SYNTHETIC].interval(),
        synthetic_gap=gap_of(clean[SYNTHETIC], by_kind[SYNTHETIC]).interval(),
        adversarial_accuracy=by_kind[ADVERSARIAL].interval(),
        adversarial_id_accuracy=clean[ADVERSARIAL].interval(),
        adversarial_gap=gap_of(clean[ADVERSARIAL], by_kind[ADVERSARIAL]).interval(),
        seen_accuracy=m.of_seen().interval(),
        gap_reduction=reduction,
        gap_reduction_mean=mean_reduction,
        gap_reduction_shifts=shifts,
        gap_change=gap_change,
        gap_change_over_seeds=over_seeds,
        id_change=id_change,
        ood_change=ood_change,
        effective_robustness=rho,
        extrapolated=line.line.fitted and line.line.extrapolates(inside.value),
        corruption_error=UNKNOWN if corruption is None else corruption.mean,
        relative_corruption_error=float("nan") if corruption is None else corruption.relative,
        trainable_parameters=_mean(m.runs, "trainable_parameters"),
        total_parameters=_mean(m.runs, "total_parameters"),
        train_seconds=_mean(m.runs, "train_seconds"),
        teacher_seconds=_mean(m.runs, "teacher_seconds"),
        choose_seconds=_mean(m.runs, "choose_seconds"),
        step_seconds=_mean(m.runs, "step_seconds"),
        peak_memory_bytes=_mean(m.runs, "peak_memory_bytes"),
        inside_noise=result == "inside the noise",
        outcome=result,
        verdict=sentence,
    )


def gap_of(id_score: Draws, ood: Draws) -> Draws:
    """RG at the point and over the resamples."""
    return Draws(robustness_gap(id_score.value, ood.value), robustness_gap(id_score.draws, ood.draws))


def _same(at_home: Draws, inside: Draws) -> str:
    """ID on the shifted examples, where these are not all."""
    shown = percent(at_home.value)
    return "" if shown in (percent(inside.value), "–") else f" ({shown}% of the examples that were shifted)"


def reduction_of(gap: Draws, reference: Draws) -> Interval:
    """RRG = (RG_ref - RG)/RG_ref with its interval; NaN ("n/a") where RG_ref <= 0.01."""
    value, draws = _ratio(gap, reference)
    return percentile_interval(value, draws)


def _ratio(gap: Draws, reference: Draws) -> tuple[float, Floats]:
    value = relative_reduction(np.asarray(gap.value), np.asarray(reference.value), SMALLEST_REFERENCE_GAP)
    return float(value), relative_reduction(gap.draws, reference.draws, SMALLEST_REFERENCE_GAP)


def _mean_of_ratios(m: MethodScores, base: MethodScores, kind: str) -> tuple[Interval, int]:
    """Mean over the unseen shifts of a kind of each one's RRG, and over how many it is."""
    names = dict.fromkeys(k.evalset for k in m.keys if k.kind == kind and not is_seen(k, m.seen))
    ratios = [
        _ratio(
            gap_of(m.clean.named(name, kind), m.named(name, kind)),
            gap_of(base.clean.named(name, kind), base.named(name, kind)),
        )
        for name in names
    ]
    there = [(value, draws) for value, draws in ratios if np.isfinite(value)]
    if not there:
        return UNKNOWN, 0
    mean = float(np.mean([value for value, _ in there]))
    return percentile_interval(mean, np.mean([draws for _, draws in there], axis=0)), len(there)


def _of_seeds(m: MethodScores, kind: str) -> tuple[Floats, Floats, Floats]:
    """ID score, OOD score and gap of every seed on its own, (S,) each."""
    weights = kind_weights(m.keys, kind, m.seen)
    shifted = m.seed_points @ weights
    return m.seed_points @ id_weights(m.keys), shifted, robustness_gap(m.clean_seed_points @ weights, shifted)


def _paired_over_seeds(m: MethodScores, base: MethodScores, kind: str) -> Interval:
    """The gap's change seed by seed; unknown where the two were not run with the same two or more seeds."""
    if [r.seed for r in m.runs] != [r.seed for r in base.runs] or len(m.runs) < 2:
        return UNKNOWN
    return t_interval((_of_seeds(m, kind)[2] - _of_seeds(base, kind)[2]).tolist())


def _mean(runs: Sequence[Run], key: str) -> float:
    return float(np.mean([run.number(key) for run in runs]))
