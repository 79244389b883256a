import numpy as np
import pytest
from scipy import stats

from tether.errors import RequestError
from tether.evaluation import bootstrap


def test_resampled_means_are_means_of_resampled_rows():
    """The count product against indexing, with the same draws."""
    x = np.random.default_rng(0).random((3, 50))
    ours = bootstrap.resample_means(x, np.random.default_rng(7), 20)
    index = np.random.default_rng(7).integers(0, 50, size=(20, 50))
    slow = [[np.mean([row[i] for i in draw]) for row in x] for draw in index]
    np.testing.assert_allclose(ours, slow)


def test_chunks_do_not_change_the_shape(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CHUNK", 100)
    draws = bootstrap.resample_means(np.ones((2, 30)), np.random.default_rng(0), 10)
    np.testing.assert_allclose(draws, np.ones((10, 2)))


def test_interval_of_a_mean_agrees_with_scipy():
    x = np.random.default_rng(2).random(300)
    ours = bootstrap.bootstrap_mean(x, resamples=4000)
    theirs = stats.bootstrap(
        (x,), np.mean, method="percentile", n_resamples=4000, random_state=1
    ).confidence_interval
    # Two sets of 4,000 draws: the ends differ by Monte Carlo error, about 1/50 of the width.
    assert (ours.low, ours.high) == pytest.approx(
        (theirs.low, theirs.high), abs=0.1 * (theirs.high - theirs.low)
    )


def test_same_seed_same_interval():
    x = np.random.default_rng(2).random(40)
    assert bootstrap.bootstrap_mean(x, seed=4) == bootstrap.bootstrap_mean(x, seed=4)
    assert bootstrap.bootstrap_mean(x, seed=4) != bootstrap.bootstrap_mean(x, seed=5)


def covered(interval, truth):
    return interval.low <= truth <= interval.high


def test_coverage_of_mean_and_gap():
    rng = np.random.default_rng(11)
    mean = gap = 0
    times = 200
    for k in range(times):
        i, a, b = (rng.random(n) < p for n, p in ((300, 0.9), (200, 0.7), (250, 0.5)))
        mean += covered(bootstrap.bootstrap_mean(i, 300, seed=k), 0.9)
        gap += covered(bootstrap.bootstrap_gap(i, [a, b], 300, seed=k), 1 - 0.6 / 0.9)
    # 95% +- 3 standard errors of 200 trials (1.5 points each), plus the percentile interval's own 1 point.
    assert 0.895 <= mean / times <= 0.99
    assert 0.895 <= gap / times <= 0.99


def test_coverage_of_the_paired_reduction():
    rng = np.random.default_rng(5)
    times, hits = 200, 0
    for k in range(times):
        common = rng.random((2, 800))  # the same example is hard for both methods
        ours = (common[0] < 0.9, [common[1] < 0.72])
        theirs = (common[0] < 0.9, [common[1] < 0.6])
        hits += covered(bootstrap.paired_gap_reduction(ours, theirs, 300, seed=k), (1 / 3 - 0.2) / (1 / 3))
    assert 0.895 <= hits / times <= 0.99


def test_pairing_narrows_the_interval_of_correlated_scores():
    rng = np.random.default_rng(0)
    difficulty = rng.random(1000)
    a, b = difficulty < 0.80, difficulty < 0.78
    paired = bootstrap.paired_difference(a, b)
    unpaired = bootstrap.paired_difference(a, rng.permutation(b))
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert paired.excludes_zero
    assert not unpaired.excludes_zero


def test_paired_difference_has_the_closed_forms_width():
    rng = np.random.default_rng(1)
    d = rng.random((2, 2000)) < [[0.8], [0.7]]
    ours = bootstrap.paired_difference(d[0], d[1])
    se = stats.sem(d[0].astype(float) - d[1])
    assert (ours.high - ours.low) == pytest.approx(2 * 1.96 * se, rel=0.12)


def test_a_method_against_itself_has_no_example_noise():
    x = np.random.default_rng(3).random(100) < 0.7
    same = bootstrap.paired_difference(x, x)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(4)
    agree = (rng.random((1, 500)) < 0.8).repeat(2, axis=0)
    apart = np.stack([np.arange(500) < 450, np.arange(500) < 350])  # 90% and 70%
    narrow, wide = bootstrap.bootstrap_mean(agree), bootstrap.bootstrap_mean(apart)
    assert wide.value == pytest.approx(0.8)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_reduction_point_by_hand_and_seeds_averaged():
    ids = np.ones((2, 10))
    ood = np.stack([np.arange(10) < 6, np.arange(10) < 8])  # mean 0.7, gap 0.3
    reference = (np.ones(10), [np.arange(10) < 5])  # gap 0.5
    out = bootstrap.paired_gap_reduction((ids, [ood]), reference, resamples=200)
    assert out.value == pytest.approx((0.5 - 0.3) / 0.5)


def test_no_reduction_of_a_gap_that_is_not_there():
    flat = np.arange(1000) < 900
    assert not bootstrap.paired_gap_reduction((flat, [flat]), (flat, [flat]), 100).known


def test_no_reduction_of_a_gap_lost_in_noise():
    i, o = np.arange(40) < 36, np.arange(40) < 34  # gap 5.6%, but 40 examples cannot tell it from 0
    assert not bootstrap.paired_gap_reduction((i, [o]), (i, [o]), 300).known


def test_uncomputable_resamples_widen_rather_than_vanish():
    draws = np.linspace(0, 1, 1000)
    draws[:10] = np.nan
    out = bootstrap.percentile_interval(0.5, draws)
    clean = bootstrap.percentile_interval(0.5, np.linspace(0, 1, 1000))
    assert out.high > clean.high
    assert out.known
    draws[:60] = np.nan
    assert not bootstrap.percentile_interval(0.5, draws).known


def test_different_examples_are_refused():
    with pytest.raises(RequestError, match="same examples"):
        bootstrap.paired_difference(np.ones(3), np.ones(4))
    with pytest.raises(RequestError, match="same OOD sets"):
        bootstrap.paired_gap_reduction((np.ones(3), [np.ones(3)]), (np.ones(3), []))
    with pytest.raises(RequestError, match="at least one example"):
        bootstrap.bootstrap_mean(np.ones((1, 0)))
