"""Of 2,000 simulated experiments, 95% of the intervals must hold the truth, within 2 points.

All experiments are rows of one score matrix and share their resamples, which says the same of each as if
they had their own: an interval's ends hardly depend on which 1,000 resamples were drawn.
"""

import numpy as np
import pytest

from tether.evaluation.bootstrap import percentile_interval, resample_means, seed_weights
from tether.evaluation.metrics import relative_reduction, robustness_gap
from tether.evaluation.statistics import t_interval, wilson

TIMES, N = 2000, 400


def coverage(points, draws, truth):
    """points (T,), draws (R, T)."""
    intervals = [percentile_interval(p, draws[:, k]) for k, p in enumerate(points)]
    return np.mean([i.low <= truth <= i.high for i in intervals])


@pytest.fixture(scope="module")
def simulated():
    """Hits (T, N) of two methods, 90% on ID, 72% and 60% away: the same examples are hard for both."""
    rng = np.random.default_rng(7)
    inside, away = rng.random((2, TIMES, N))
    hits = [inside < 0.9, away < 0.72, away < 0.6]
    draws = [
        resample_means(hits[0], rng),
        *np.split(resample_means(np.concatenate(hits[1:]), rng), 2, axis=1),
    ]
    return [h.mean(axis=1) for h in hits], draws


def test_of_a_mean(simulated):
    points, draws = simulated
    assert coverage(points[1], draws[1], 0.72) == pytest.approx(0.95, abs=0.02)


def test_of_a_paired_difference(simulated):
    points, draws = simulated
    assert coverage(points[1] - points[2], draws[1] - draws[2], 0.12) == pytest.approx(0.95, abs=0.02)


def test_of_the_gap_and_of_its_relative_reduction(simulated):
    points, draws = simulated
    ours, theirs = (robustness_gap(points[0], points[k]) for k in (1, 2))
    drawn, drawn_theirs = (robustness_gap(draws[0], draws[k]) for k in (1, 2))
    assert coverage(ours, drawn, 1 - 0.72 / 0.9) == pytest.approx(0.95, abs=0.02)
    reduction = relative_reduction(ours, theirs)
    found = coverage(reduction, relative_reduction(drawn, drawn_theirs), (1 / 3 - 0.2) / (1 / 3))
    assert found == pytest.approx(0.95, abs=0.02)


def test_the_check_would_see_an_interval_that_is_too_narrow(simulated):
    points, draws = simulated
    narrow = points[1] + 0.8 * (draws[1] - points[1])
    assert coverage(points[1], narrow, 0.72) < 0.93


def test_of_the_closed_forms():
    rng = np.random.default_rng(1)
    hits = rng.binomial(N, 0.72, TIMES)
    held = [i.low <= 0.72 <= i.high for i in (wilson(int(h), N) for h in hits)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    seeds = rng.normal(0.8, 0.02, (TIMES, 3))
    held = [i.low <= 0.8 <= i.high for i in map(t_interval, seeds)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_drawn_seeds_vary_as_new_ones_would():
    """Variance of the weighted mean over draws, against that of a mean of S seeds: sample variance / S."""
    seeds = np.array([0.7, 0.8, 0.86])
    drawn = seed_weights(3, np.random.default_rng(0), 200_000) @ seeds
    assert drawn.mean() == pytest.approx(seeds.mean(), abs=1e-3)
    assert drawn.var() == pytest.approx(seeds.var(ddof=1) / 3, rel=0.02)
    assert (seed_weights(1, np.random.default_rng(0), 10) == 1).all()
