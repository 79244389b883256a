"""Whether a run is good enough: limits on its results, each measured, judged and said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tether.errors import RequestError, nearest
from tether.evaluation import metrics
from tether.evaluation.bootstrap import RESAMPLES, percentile_interval
from tether.evaluation.headline import NATURAL, headline_kind
from tether.evaluation.metrics import Array, robustness_gap
from tether.evaluation.statistics import UNKNOWN, Interval
from tether.report.measured import Draws, MethodScores, measure
from tether.report.records import Measurement, Predictions, Run

Side = Literal["min", "max"]
WORST = "worst_group"  # the metric under which a run writes its worst group
COMPUTED: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "macro_f1": metrics.macro_f1,
    "nll": metrics.nll,
    "brier": metrics.brier,
    "ece": metrics.ece,
}


@dataclass(frozen=True)
class Limit:
    """What is asked of a run.

    Attributes:
        what: "gap", "id", "ood", "worst_group", "id_drop", "ood_drop" (both against a reference run), or
            "METRIC:SET" of one test set, such as "ece:id_test" or "accuracy:fog@3".
        side: "min" for at least, "max" for at most.
        value: the bound itself is good enough.

    Example:
        >>> parse_limit("macro_f1:id_test=0.9", "min")
        Limit(what='macro_f1:id_test', side='min', value=0.9)
    """

    what: str
    side: Side
    value: float


@dataclass(frozen=True)
class Checked:
    """A limit with what was measured.

    Attributes:
        limit: what was asked.
        measured: the value with its 95% interval, whose ends are NaN where it has none.
        used: the number that was judged: the value, or the interval's bad end.
        met: whether it is good enough.
        about: what it was measured on, where the limit does not say.
    """

    limit: Limit
    measured: Interval
    used: float
    met: bool
    about: str = ""


def parse_limit(text: str, side: Side) -> Limit:
    """A limit from METRIC:SET=VALUE.

    Raises:
        RequestError: another form, or a value that is no number.
    """
    what, sign, value = text.partition("=")
    metric, colon, name = what.partition(":")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not (sign and colon and metric and name) or not math.isfinite(number):
        raise RequestError(f"--{side}: expected METRIC:SET=VALUE, such as macro_f1:id_test=0.9, got {text!r}")
    return Limit(what, side, number)


def check_gate(
    run: Run,
    limits: Sequence[Limit],
    reference: Run | None = None,
    confident: bool = False,
    resamples: int = RESAMPLES,
) -> list[Checked]:
    """Measure and judge every limit.

    Args:
        run: with its predictions.
        limits: one or more.
        reference: for the limits on drops, on the same test sets.
        confident: judge the end of the 95% interval that speaks against the run, not the value.
        resamples: of the bootstrap.

    Raises:
        RequestError: no limit, or one that nothing in the run answers: what was not measured is never met.

    Example:
        >>> check_gate(run, [Limit("gap", "max", 0.1)])[0].met  # doctest: +SKIP
        True
    """
    if not limits:
        raise RequestError("gate: expected a limit at least; try --max-gap 0.1 --min-id 0.9")
    runs = [replace(run, method="run")]
    if reference is not None:
        from tether.report.runs import check_comparable

        runs.append(replace(reference, method="reference"))
        check_comparable(runs)
    elif any(limit.what.endswith("_drop") for limit in limits):
        raise RequestError("gate: a limit on a drop needs --reference RUN to drop from")
    scores = measure(runs, resamples)
    return [_judged(limit, run, scores, confident, resamples) for limit in limits]


def _judged(
    limit: Limit, run: Run, scores: Sequence[MethodScores], confident: bool, resamples: int
) -> Checked:
    measured, about = _measured(limit, run, scores, confident, resamples)
    if not math.isfinite(measured.value):
        raise RequestError(
            f"gate: {limit.what} could not be measured on {run.folder}: {_missing(limit, run)}"
        )
    used = measured.value
    if confident:
        used = measured.low if limit.side == "min" else measured.high
        if not math.isfinite(used):
            raise RequestError(
                f"gate: {limit.what} has no interval in {run.folder}, so --confident cannot judge it; "
                "leave --confident out, or limit a metric that has one"
            )
    met = used >= limit.value if limit.side == "min" else used <= limit.value
    return Checked(limit, measured, used, met, about)


def _measured(
    limit: Limit, run: Run, scores: Sequence[MethodScores], confident: bool, resamples: int
) -> tuple[Interval, str]:
    mine = scores[0]
    kind = headline_kind(mine.keys)
    if limit.what == "id":
        return mine.id().interval(), ""
    if limit.what == "ood":
        return mine.kind(kind).interval(), f"{kind} sets"
    if limit.what == "gap":
        inside, shifted = mine.clean.kind(kind), mine.kind(kind)
        gap = Draws(robustness_gap(inside.value, shifted.value), robustness_gap(inside.draws, shifted.draws))
        return gap.interval(), f"{kind} sets"
    if limit.what == "id_drop":
        return scores[1].id().minus(mine.id()).interval(), ""
    if limit.what == "ood_drop":
        return scores[1].kind(kind).minus(mine.kind(kind)).interval(), f"{kind} sets"
    if limit.what == WORST:
        return _worst(run, mine)
    return _of_set(limit.what, run, confident, resamples), ""


def _worst(run: Run, mine: MethodScores) -> tuple[Interval, str]:
    """The lowest of the groups' rows that the run wrote, and of its natural domains."""
    found = [(_interval(row), f"{row.evalset}'s worst group") for row in run.results if row.metric == WORST]
    for i, key in enumerate(mine.keys):
        if key.kind == NATURAL:
            found.append((Draws(float(mine.points[i]), mine.draws[:, i]).interval(), str(key)))
    return min(found, key=lambda pair: pair[0].value, default=(UNKNOWN, ""))


def _of_set(what: str, run: Run, confident: bool, resamples: int) -> Interval:
    """A metric of one set: as the run wrote it, else from its predictions."""
    metric, _, place = what.partition(":")
    name, _, severity = place.partition("@")
    rows = [
        row
        for row in run.results
        if row.metric == metric and row.evalset == name and (not severity or str(row.severity) == severity)
    ]
    sets = [
        s for s in run.sets if s.key.evalset == name and (not severity or str(s.key.severity) == severity)
    ]
    if not sets and not rows:
        known = sorted({s.key.evalset for s in run.sets})
        raise RequestError(f"gate: {run.folder} was not tested on {place!r}; {nearest(name, known)}")
    if len(rows) == 1 and (not confident or _interval(rows[0]).known):
        return _interval(rows[0])
    if metric in COMPUTED:
        return _computed(COMPUTED[metric], sets, resamples if confident else 0)
    if rows and not confident:  # several severities: their mean, without an interval
        return Interval(float(np.mean([row.value for row in rows])), math.nan, math.nan)
    if rows:
        return Interval(rows[0].value, math.nan, math.nan)
    known = sorted({row.metric for row in run.results} | set(COMPUTED))
    raise RequestError(
        f"gate: there is no metric {metric!r} of {place!r} in {run.folder}; {nearest(metric, known)}"
    )


def _computed(
    metric: Callable[[Array, Array], float], sets: Sequence[Predictions], resamples: int
) -> Interval:
    """The metric's mean over severities, with a bootstrap over examples shared by them."""
    value = float(np.mean([metric(s.probabilities, s.labels) for s in sets]))
    if not resamples:
        return Interval(value, math.nan, math.nan)
    rng = np.random.default_rng(0)
    draws = np.empty(resamples)
    for r in range(resamples):
        picked = {n: rng.integers(0, n, n) for n in {len(s.labels) for s in sets}}
        each = [(s, picked[len(s.labels)]) for s in sets]
        draws[r] = np.mean([metric(s.probabilities[rows], s.labels[rows]) for s, rows in each])
    return percentile_interval(value, draws)


def _interval(row: Measurement) -> Interval:
    return Interval(row.value, row.low, row.high)


def _missing(limit: Limit, run: Run) -> str:
    if limit.what in ("gap", "ood", "ood_drop"):
        return "it has no shifted test set, or no right answer on ID; evaluate it on OOD domains or shifts"
    if limit.what == WORST:
        return "it has neither groups nor natural domains; name a column with data.domain or data.group"
    return "the run wrote no number for it"
