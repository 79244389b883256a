"""The line of ordinary models through the runs at hand, and how far each method lies above it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tether.evaluation.bootstrap import percentile_interval
from tether.evaluation.effective import Line, effective_robustness, fit_line, fit_lines
from tether.evaluation.headline import id_weights, kind_weights
from tether.evaluation.metrics import Floats
from tether.evaluation.statistics import UNKNOWN, Interval
from tether.report.measured import MethodScores
from tether.report.records import Run

# Methods without a robustness intervention: one loss on clean data, from the usual start.
STANDARD = ("linear_probe", "finetune", "lora")


@dataclass(frozen=True)
class ReferenceLine:
    """A line, and the same line fitted on every resample: slopes and intercepts, (R,)."""

    line: Line
    slopes: Floats
    intercepts: Floats

    def rho(self, m: MethodScores, kind: str) -> Interval:
        """Effective robustness of a method, the line drawn anew on each resample; unknown without a line."""
        if not self.line.fitted:
            return UNKNOWN
        inside, shifted, n = m.id(), m.kind(kind), self.line.n
        value = shifted.value - self.line.expected(inside.value)
        draws = effective_robustness(inside.draws, shifted.draws, self.slopes, self.intercepts, n)
        return percentile_interval(value, draws)


def is_standard(run: Run, standard: Collection[str] = STANDARD) -> bool:
    """Whether a run is a reference model: by its method's name, or the method its config names.

    An untouched model that `tether evaluate` tested goes by the model's name; its config says how it began.
    """
    given = run.config.get("method")
    made = given.get("name") if isinstance(given, dict) else given
    return run.method in standard or made in standard


def reference_line(
    scores: Sequence[MethodScores], kind: str, metric: str = "accuracy", standard: Collection[str] = STANDARD
) -> ReferenceLine:
    """Fit over every run, seeds too, of an ordinary method; see `evaluation.effective.fit_line`.

    Args:
        scores: of all methods.
        kind: of the headline sets.
        metric: the line is one of accuracies; with another metric there is none.
        standard: the ordinary methods.
    """
    inside, shifted = id_weights(scores[0].keys), kind_weights(scores[0].keys, kind, scores[0].seen)
    sizes = np.array([len(s.labels) for s in scores[0].runs[0].sets])
    n = (int(sizes[inside > 0].sum()) or 1, int(sizes[shifted > 0].sum()) or 1)
    chosen = [(m, s) for m in scores for s, run in enumerate(m.runs) if is_standard(run, standard)]
    points = np.array([m.seed_points[s] for m, s in chosen]).reshape(len(chosen), len(sizes))
    nothing = np.full(len(scores[0].draws), np.nan)
    if metric != "accuracy":
        line = replace(
            fit_line([], [], n), reason=f"not fitted: the line is one of accuracies, not of {metric}"
        )
        return ReferenceLine(line, nothing, nothing)
    if not chosen:
        return ReferenceLine(fit_line([], [], n), nothing, nothing)
    line = fit_line(list(points @ inside), list(points @ shifted), n)
    if not line.fitted:
        return ReferenceLine(line, nothing, nothing)
    draws = np.stack([m.seed_draws[:, s] for m, s in chosen], axis=1)  # (R, M, K)
    return ReferenceLine(line, *fit_lines(draws @ inside, draws @ shifted, n))
