"""The bootstrap over examples and seeds (METHODS 1.12), 1,000 resamples, vectorised.

Scores are per example, (N,) for one run or (S, N) for S seeds of one method. A resample of N examples is a
vector of N counts, so the means of all methods over all resamples are one matrix product, and every method
sees the same resamples: differences are paired for free.

With two or more seeds the seeds are resampled too, with the right variance, but two or three seeds say little
about the tails: where seeds differ more than examples do, the interval is somewhat narrow (docs/metrics.md
has the measured coverage), and the t interval over seeds is the other view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tether.errors import RequestError
from tether.evaluation.headline_metric import Cells
from tether.evaluation.metrics import Array, Floats, relative_reduction, robustness_gap
from tether.evaluation.statistics import UNKNOWN, Interval

RESAMPLES = 1000
# Counts held at once: 2M numbers of 8 bytes stay well inside a small machine's memory.
_CHUNK = 2_000_000


def resample_counts(n: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """How often each of n examples was drawn, (rows, n) at a time, `resamples` rows in all; rows sum to n.

    Raises:
        RequestError: when there is no example.
    """
    if n == 0:
        raise RequestError("bootstrap: expected at least one example, got none; check the evaluation set")
    rows = max(1, _CHUNK // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(0, n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def resample_means(scores: Array, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Means of K score rows (K, N) over the same resamples of their N examples; shape (resamples, K)."""
    x = np.asarray(scores, dtype=np.float64).T  # (N, K)
    return np.concatenate([counts @ x / len(x) for counts in resample_counts(len(x), rng, resamples)])


def resample_scores(sets: Sequence[Cells], rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Scores of K sets of cells over the same resamples of their N examples; shape (resamples, K)."""
    return np.concatenate(
        [
            np.stack([s.reduce((s.columns.T @ counts.T).T) for s in sets], axis=1)
            for counts in resample_counts(sets[0].columns.shape[0], rng, resamples)
        ]
    )


def seed_weights(seeds: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Weights (resamples, seeds), rows summing to 1, of drawing the seeds anew; all 1 for one seed.

    The mean of S drawn seeds varies only (S - 1)/S as much as that of S new ones would, so the weights
    are stretched about 1/S by sqrt(S/(S - 1)) (rescaled bootstrap, Rao and Wu 1988); some are negative then.
    """
    if seeds == 1:
        return np.ones((resamples, 1))
    drawn = rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=resamples) / seeds
    return np.asarray(1 / seeds + np.sqrt(seeds / (seeds - 1)) * (drawn - 1 / seeds))


def percentile_interval(value: float, draws: Floats, level: float = 0.95) -> Interval:
    """The value with the percentile interval of its resamples.

    A resample that could not be computed (NaN) counts as far below for the lower end and as far above for
    the upper one: dropping it would narrow the interval. Where such resamples reach an end, or the value
    itself is NaN, nothing is known.
    """
    if not np.isfinite(value):
        return UNKNOWN
    bad = np.isnan(draws)
    tail = (1 - level) / 2
    low = float(np.quantile(np.where(bad, -np.inf, draws), tail, method="inverted_cdf"))
    high = float(np.quantile(np.where(bad, np.inf, draws), 1 - tail, method="inverted_cdf"))
    result = Interval(float(value), low, high)
    return result if result.known else UNKNOWN


def bootstrap_mean(scores: Array, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Mean of per-example scores, (N,) or (S, N), with its 95% interval.

    Example:
        >>> bootstrap_mean(np.array([1.0, 0.0, 1.0, 1.0])).value
        0.75
    """
    x = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    rng = np.random.default_rng(seed)
    draws = _over_seeds(resample_means(x, rng, resamples), seed_weights(len(x), rng, resamples))
    return percentile_interval(float(x.mean()), draws)


def bootstrap_gap(
    id_scores: Array, ood_scores: Sequence[Array], resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """RG of one method: the ID set and each OOD set are resampled on their own.

    Args:
        id_scores: per-example scores, (N,) or (S, N).
        ood_scores: one such array per OOD set, each of its own size; OOD is the unweighted mean over sets.
        resamples: how many.
        seed: of the draws.
    """
    (point,), (draws,) = _gaps([(id_scores, ood_scores)], resamples, seed)
    return percentile_interval(point, draws)


def paired_difference(method: Array, reference: Array, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Mean score of `method` minus that of `reference` over the same examples, paired by position.

    Args:
        method: (N,) or (S, N).
        reference: (N,) or (S', N), the same examples in the same order.
        resamples: how many.
        seed: of the draws.

    Raises:
        RequestError: when the two were not scored on equally many examples.
    """
    a, b = _pair(method, reference)
    rng = np.random.default_rng(seed)
    means = resample_means(np.concatenate([a, b]), rng, resamples)
    drawn_a = _over_seeds(means[:, : len(a)], seed_weights(len(a), rng, resamples))
    drawn_b = _over_seeds(means[:, len(a) :], seed_weights(len(b), rng, resamples))
    return percentile_interval(float(a.mean() - b.mean()), drawn_a - drawn_b)


def paired_gap_reduction(
    method: tuple[Array, Sequence[Array]],
    reference: tuple[Array, Sequence[Array]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """RRG = (RG_ref - RG)/RG_ref of two methods, each given as (id_scores, ood_scores), paired by position.

    Unknown ("n/a") when RG_ref <= 0.01, or is so uncertain that 2.5% of the resamples fall there.

    Raises:
        RequestError: when the two were not scored on the same sets.
    """
    if len(method[1]) != len(reference[1]):
        raise RequestError(
            f"paired bootstrap: expected the same OOD sets, got {len(method[1])} and {len(reference[1])}; "
            "evaluate both methods with one configuration"
        )
    points, draws = _gaps([method, reference], resamples, seed)
    point = float(relative_reduction(np.asarray(points[0]), np.asarray(points[1])))
    return percentile_interval(point, relative_reduction(draws[0], draws[1]))


def _over_seeds(means: Floats, weights: Floats) -> Floats:
    """(resamples, S) means of each seed -> (resamples,) of the method."""
    return np.asarray((means * weights).sum(axis=1))


def _pair(method: Array, reference: Array) -> tuple[Floats, Floats]:
    a = np.atleast_2d(np.asarray(method, dtype=np.float64))
    b = np.atleast_2d(np.asarray(reference, dtype=np.float64))
    if a.shape[1] != b.shape[1]:
        raise RequestError(
            f"paired bootstrap: expected the same examples, got {a.shape[1]} and {b.shape[1]}; "
            "evaluate both methods on one set"
        )
    return a, b


def _gaps(
    methods: Sequence[tuple[Array, Sequence[Array]]], resamples: int, seed: int
) -> tuple[list[float], list[Floats]]:
    """RG of each method at the point and over shared resamples."""
    rng = np.random.default_rng(seed)
    weights = [seed_weights(len(np.atleast_2d(i)), rng, resamples) for i, _ in methods]
    sets = [[np.atleast_2d(s) for s in (i, *o)] for i, o in methods]
    drawn: list[list[Floats]] = [[] for _ in methods]
    for column in zip(*sets, strict=True):  # one evaluation set, all methods
        for rows in column[1:]:
            _pair(column[0], rows)
        means = np.split(
            resample_means(np.concatenate(column), rng, resamples),
            np.cumsum([len(rows) for rows in column])[:-1],
            axis=1,
        )
        for m, part in enumerate(means):
            drawn[m].append(_over_seeds(part, weights[m]))
    points = [robustness_gap(float(s[0].mean()), float(np.mean([o.mean() for o in s[1:]]))) for s in sets]
    return points, [robustness_gap(d[0], np.mean(d[1:], axis=0)) for d in drawn]
