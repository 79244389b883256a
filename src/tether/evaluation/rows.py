"""The rows of `results.jsonl` and `breakdown.jsonl`: every metric of a set, overall, by class, by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tether.evaluation import metrics
from tether.evaluation.calibration import tempered
from tether.evaluation.groups import (
    NO_GROUPS,
    NO_NAMES,
    Grouping,
    Names,
    classes_of,
    groups_of,
    judged_groups,
    tenth_percentile,
    worst_group,
)
from tether.evaluation.headline import SetKey
from tether.evaluation.metrics import Array
from tether.evaluation.statistics import Interval, wilson

_METRICS: Mapping[str, Callable[[Array, Array], float]] = {
    "balanced_accuracy": metrics.balanced_accuracy,
    "macro_f1": metrics.macro_f1,
    "nll": metrics.nll,
    "brier": metrics.brier,
    "ece": metrics.ece,
}
# Within a class the first two say nothing that accuracy does not; the class's own precision and F1 do.
_OF_CLASS = ("nll", "brier", "ece")


def result_rows(
    key: SetKey,
    probabilities: Array,
    labels: Array,
    grouping: Grouping | None = None,
    names: Names | None = None,
) -> list[dict[str, Any]]:
    """One row a metric of one set: {evalset, kind, severity, metric, value, low, high, n}.

    Accuracy carries its Wilson interval. `worst_group` is one group's: its row has that group's interval and
    n, and names it. Rows that need groups, or a temperature, are there where these are.

    Args:
        probabilities: (N, C).
        labels: (N,).
    """
    names = names or NO_NAMES
    probabilities = np.asarray(probabilities, dtype=np.float64)  # once, not in each metric
    rows = [_row(key, "accuracy", _share(probabilities, labels), len(labels))]
    rows += [_row(key, name, _bare(f(probabilities, labels)), len(labels)) for name, f in _METRICS.items()]
    if names.temperature is not None:
        p = tempered(probabilities, names.temperature)
        rows += [
            _row(key, "nll_scaled", _bare(metrics.nll(p, labels)), len(labels)),
            _row(key, "ece_scaled", _bare(metrics.ece(p, labels)), len(labels)),
        ]
    groups = groups_of(labels, grouping or NO_GROUPS, names)
    worst = worst_group(probabilities, labels, groups)
    if worst is not None and len(groups) > 1:
        group, share = worst
        told = {"groups": len(judged_groups(groups)), "too_small": sum(not g.judged for g in groups)}
        rows.append({**_row(key, "worst_group", share, group.n), "group": group.name, **told})
        tenth = tenth_percentile(probabilities, labels, groups)
        rows.append({**_row(key, "tenth_percentile", _bare(tenth), len(labels)), **told})
    return rows


def breakdown_rows(
    key: SetKey,
    probabilities: Array,
    labels: Array,
    grouping: Grouping | None = None,
    names: Names | None = None,
    classes: bool = True,
) -> list[dict[str, Any]]:
    """The metrics of each class, and of each group where there are several: as above, with `by` and `name`.

    A group with fewer than 25 examples is told with its n and no values.

    Args:
        classes: whether by class too.
    """
    names = names or NO_NAMES
    guess = np.asarray(probabilities).argmax(axis=1)
    rows: list[dict[str, Any]] = []
    groups = groups_of(labels, grouping or NO_GROUPS, names)
    told = [*(classes_of(labels, names) if classes else ()), *(groups if len(groups) > 1 else ())]
    for group in told:
        where = {"by": group.by, "name": group.name}
        p, y = probabilities[group.inside], labels[group.inside]
        if group.by != "class" and not group.judged:
            rows.append({**_row(key, "accuracy", _bare(None), group.n), **where})
            continue
        found = [_row(key, "accuracy", _share(p, y), group.n)]
        if group.by == "class":
            hits, called = int((guess[group.inside] == y).sum()), int((guess == y[0]).sum())
            found.append(_row(key, "precision", wilson(hits, called) if called else _bare(None), called))
            found.append(_row(key, "f1", _bare(2.0 * hits / (group.n + called)), group.n))
        chosen = _OF_CLASS if group.by == "class" else tuple(_METRICS)
        found += [_row(key, name, _bare(_METRICS[name](p, y)), group.n) for name in chosen]
        rows += [{**row, **where} for row in found]
    return rows


def _share(probabilities: Array, labels: Array) -> Interval:
    hits = metrics.correct(probabilities, labels)
    return wilson(int(hits.sum()), len(hits))


def _bare(value: float | None) -> tuple[float | None, None, None]:
    return value, None, None


def _row(
    key: SetKey, metric: str, value: Interval | tuple[float | None, None, None], n: int
) -> dict[str, Any]:
    middle, low, high = (value.value, value.low, value.high) if isinstance(value, Interval) else value
    return {
        "evalset": key.evalset,
        "kind": key.kind,
        "severity": key.severity,
        "metric": metric,
        "value": middle,
        "low": low,
        "high": high,
        "n": n,
    }
