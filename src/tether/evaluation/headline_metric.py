"""Which metric makes the headline, in a form that can be resampled.

A metric is a function of sums over examples: each example adds to a few cells, and the metric is worked out
from the cells' totals. A resample then is a matrix product, whatever the metric. Only metrics of which
higher is better are here: a gap of the others has no meaning (METHODS 1.12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from tether.errors import RequestError, nearest
from tether.evaluation.groups import Group, group_columns
from tether.evaluation.metrics import Array, Floats, correct

Reduce = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Cells:
    """One set's examples as cells: `columns` (N, M) sparse; `reduce` takes totals (..., M) to scores."""

    columns: sparse.csr_array
    reduce: Reduce

    def value(self) -> float:
        """The metric of the set itself."""
        return float(self.reduce(np.asarray(self.columns.sum(axis=0)).reshape(-1)))


def cells(metric: str, probabilities: Array, labels: Array, groups: Sequence[Group] = ()) -> Cells:
    """The cells of a headline metric.

    Args:
        metric: one of `HEADLINE_METRICS`.
        probabilities: (N, C).
        labels: (N,).
        groups: of the set, for the metrics over groups.

    Raises:
        RequestError: for another name.

    Example:
        >>> p, y = np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])
        >>> cells("balanced_accuracy", p, y).value()
        0.5
    """
    if metric not in HEADLINE_METRICS:
        raise RequestError(
            f"evaluate.metric: {metric!r} cannot make the headline; {nearest(metric, HEADLINE_METRICS)}"
        )
    return HEADLINE_METRICS[metric](probabilities, labels, groups)


def _accuracy(probabilities: Array, labels: Array, groups: Sequence[Group]) -> Cells:
    return Cells(_stack(correct(probabilities, labels)[:, None], np.ones((len(labels), 1))), _mean_share)


def _balanced(probabilities: Array, labels: Array, groups: Sequence[Group]) -> Cells:
    there = _one_hot(labels, probabilities.shape[1])
    return Cells(_stack(_of_rows(there, probabilities, labels), there), _mean_share)


def _macro_f1(probabilities: Array, labels: Array, groups: Sequence[Group]) -> Cells:
    there = _one_hot(labels, probabilities.shape[1])
    called = _one_hot(np.asarray(probabilities).argmax(axis=1), probabilities.shape[1])
    # F1 = 2 hits / (labelled + called): a share like the others, over the classes that occur.
    return Cells(_stack(2.0 * _of_rows(there, probabilities, labels), there + called), _mean_share)


def _worst(probabilities: Array, labels: Array, groups: Sequence[Group]) -> Cells:
    inside = group_columns(groups, len(labels))
    return Cells(_stack(_of_rows(inside, probabilities, labels), inside), _lowest_share)


def _tenth(probabilities: Array, labels: Array, groups: Sequence[Group]) -> Cells:
    inside = group_columns(groups, len(labels))
    return Cells(_stack(_of_rows(inside, probabilities, labels), inside), _tenth_share)


HEADLINE_METRICS: Mapping[str, Callable[[Array, Array, Sequence[Group]], Cells]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "macro_f1": _macro_f1,
    "worst_group": _worst,
    "tenth_percentile": _tenth,
}
OVER_GROUPS = ("worst_group", "tenth_percentile")


_SHOWN = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "worst_group": "worst-group accuracy",
    "tenth_percentile": "tenth-percentile accuracy",
}


def score_name(metric: str) -> str:
    """What the scores of a headline are called in headings.

    Example:
        >>> score_name("macro_f1"), score_name("accuracy")
        ('macro-F1', 'accuracy')
    """
    return _SHOWN.get(metric, metric)


def score_title(metric: str) -> str:
    """The same at the start of a sentence.

    Example:
        >>> score_title("macro_f1"), score_title("accuracy")
        ('Macro-F1', 'Accuracy')
    """
    name = score_name(metric)
    return name[:1].upper() + name[1:]


def chance_level(metric: str, classes: int) -> float:
    """What guessing a class at random scores; NaN for a metric where that hangs on more than the classes."""
    return 1.0 / classes if metric in ("accuracy", "balanced_accuracy") else float("nan")


def _of_rows(there: sparse.csr_array, probabilities: Array, labels: Array) -> sparse.csr_array:
    """The same, of the examples that were answered right."""
    return sparse.csr_array(there.multiply(correct(probabilities, labels)[:, None]))


def _stack(hits: Array | sparse.sparray, there: Array | sparse.sparray) -> sparse.csr_array:
    return sparse.hstack([sparse.csr_array(hits), sparse.csr_array(there)], format="csr")


def _one_hot(values: Array, count: int) -> sparse.csr_array:
    n = len(values)
    return sparse.csr_array((np.ones(n), (np.arange(n), np.asarray(values))), shape=(n, count))


def _shares(totals: Floats) -> Floats:
    """(..., 2M) -> (..., M); NaN for a class or group without an example, as may happen in a resample."""
    hits, there = np.split(totals, 2, axis=-1)
    out = np.full(hits.shape, np.nan)
    np.divide(hits, there, out=out, where=there > 0)
    return out


def _mean_share(totals: Floats) -> Floats:
    return np.asarray(np.nanmean(_shares(totals), axis=-1))


def _lowest_share(totals: Floats) -> Floats:
    shares = _shares(totals)
    if shares.shape[-1] == 0:
        return np.full(shares.shape[:-1], np.nan)
    return np.asarray(np.fmin.reduce(shares, axis=-1))


def _tenth_share(totals: Floats) -> Floats:
    shares = _shares(totals)
    if shares.shape[-1] == 0:
        return np.full(shares.shape[:-1], np.nan)
    return np.asarray(np.nanpercentile(shares, 10, axis=-1))
