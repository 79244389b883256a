"""One honest sentence about each method, by the rule of METHODS 1.12.

The target counts as met only when the lower 95% bound of the relative gap reduction is above 30% and ID
accuracy fell by at most one point. RG also falls when ID falls, so a sentence never gives the gap alone.
"""

from __future__ import annotations

import math
from typing import Literal

from tether.evaluation.statistics import UNKNOWN, Interval

TARGET_REDUCTION = 0.30
LARGEST_ID_DROP = 0.01
SMALLEST_REFERENCE_GAP = 0.01

Outcome = Literal["reference", "target met", "smaller", "inside the noise", "larger", "not measured"]


def percent(x: float, digits: int = 1) -> str:
    """A fraction as a percentage without the sign; a dash when it is not known.

    Example:
        >>> percent(0.1234), percent(float("nan"))
        ('12.3', '–')
    """
    if not math.isfinite(x):
        return "–"
    rounded = f"{100 * x:.{digits}f}"
    return rounded.replace("-", "−", 1) if float(rounded) != 0 else f"{0:.{digits}f}"


def bounds(x: Interval, digits: int = 1) -> str:
    """The interval's ends as percentages.

    Example:
        >>> bounds(Interval(0.5, 0.4, 0.6))
        '[40.0, 60.0]'
    """
    return f"[{percent(x.low, digits)}, {percent(x.high, digits)}]"


def outcome(reduction: Interval, gap_change: Interval, id_change: Interval) -> Outcome:
    """What may be claimed against the reference.

    Where the relative reduction is "n/a" (the reference has next to no gap) the change of the gap decides,
    and the target, which is a relative one, cannot be met.
    """
    if not gap_change.known:
        return "not measured"
    if reduction.known:
        if not reduction.excludes_zero:
            return "inside the noise"
        if reduction.value < 0:
            return "larger"
        met = reduction.low > TARGET_REDUCTION and id_change.value >= -LARGEST_ID_DROP
        return "target met" if met else "smaller"
    if not gap_change.excludes_zero:
        return "inside the noise"
    return "smaller" if gap_change.value < 0 else "larger"


def verdict(
    method: str,
    reference: str,
    result: Outcome,
    reduction: Interval,
    gap_change: Interval,
    id_change: Interval,
    ood_change: Interval,
    seeds: int,
    over_seeds: Interval = UNKNOWN,
    metric: str = "accuracy",
) -> str:
    """The sentence: what changed, by how much, what it means, and what weakens it.

    Args:
        over_seeds: change of the gap with its t interval over the seeds.
        metric: what ID and OOD scores are.
    """
    if result == "not measured":
        return (
            f"{method}: the gap could not be measured; it needs an ID set with some correct answers and at "
            "least one shifted set."
        )
    if reduction.known:
        change = "reduced" if reduction.value >= 0 else "increased"
        sign = 1.0 if reduction.value >= 0 else -1.0
        ends = sorted((sign * reduction.low, sign * reduction.high))
        text = (
            f"gap {change} by {percent(abs(reduction.value), 0)}% "
            f"[{percent(ends[0], 0)}, {percent(ends[1], 0)}] against {reference}"
        )
    else:
        text = (
            f"gap change {_points(gap_change)} against {reference}, whose own gap is too near to 0, or "
            "too uncertain, for a percentage"
        )
    of = "" if metric == "accuracy" else f" of {metric}"
    text = f"{method}: {text}, ID change{of} {_points(id_change)}: {_meaning(result, reduction, id_change)}."
    for remark in _remarks(result, id_change, ood_change, seeds, over_seeds):
        text += f" {remark}"
    return text


def _points(x: Interval) -> str:
    sign = "+" if x.value > 0 and float(f"{100 * x.value:.1f}") != 0 else ""
    return f"{sign}{percent(x.value)} points {bounds(x)}"


def _meaning(result: Outcome, reduction: Interval, id_change: Interval) -> str:
    if result != "smaller":
        return result
    short = []
    if not reduction.known:
        short.append("there is no relative reduction to hold against it")
    elif reduction.low <= TARGET_REDUCTION:
        short.append(f"its lower bound is not above {percent(TARGET_REDUCTION, 0)}%")
    if id_change.value < -LARGEST_ID_DROP:
        short.append(f"ID fell by more than {percent(LARGEST_ID_DROP, 0)} point")
    return f"smaller, target not met ({' and '.join(short)})"


def _remarks(
    result: Outcome, id_change: Interval, ood_change: Interval, seeds: int, over_seeds: Interval
) -> list[str]:
    remarks = []
    if result == "inside the noise" and id_change.excludes_zero:
        better = "higher" if id_change.value > 0 else "lower"
        remarks.append(f"That holds for the gap only: ID accuracy is {better} by more than the noise.")
    if result in ("smaller", "target met") and ood_change.value <= 0:
        remarks.append(
            f"Beware: shifted accuracy did not rise ({_points(ood_change)}); the gap shrank because ID fell."
        )
    if result == "target met" and id_change.low < -LARGEST_ID_DROP:
        remarks.append("The ID interval reaches below −1 point, so a larger ID loss is not ruled out.")
    if result in ("smaller", "larger", "target met") and over_seeds.known and not over_seeds.excludes_zero:
        remarks.append(
            f"Between the {seeds} seeds alone the gap's change, {_points(over_seeds)} (t interval), is "
            "inside the noise: more seeds would settle it."
        )
    if seeds < 2:
        remarks.append("One seed: the interval covers the choice of test examples, not of training.")
    return remarks
