import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from tether.evaluation.effective import effective_robustness, fit_line, fit_lines

ID = np.linspace(0.6, 0.95, 9)
N = (1000, 1000)


def test_zero_on_the_fitted_line_and_the_excess_above_it():
    line = fit_line(list(ID), list(expit(0.8 * logit(ID) - 0.5)), N)
    assert (line.slope, line.intercept) == pytest.approx((0.8, -0.5))
    for x in (0.65, 0.9):
        on = expit(0.8 * logit(x) - 0.5)
        assert effective_robustness(np.array(x), on, line.slope, line.intercept, N) == pytest.approx(0)
        assert line.expected(x) == pytest.approx(on)
    assert effective_robustness(np.array(0.8), np.array(0.7), line.slope, line.intercept, N) == pytest.approx(
        0.7 - expit(0.8 * logit(0.8) - 0.5)
    )


def test_against_scipy_and_many_fits_at_once():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.5, 0.9, (20, 10)), rng.uniform(0.3, 0.8, (20, 10))
    slopes, intercepts = fit_lines(x, y, N)
    for i in range(20):
        theirs = stats.linregress(logit(x[i]), logit(y[i]))
        assert (slopes[i], intercepts[i]) == pytest.approx((theirs.slope, theirs.intercept))


def test_shares_of_0_and_1_are_kept_within_half_an_example():
    line = fit_line([*ID[:-1], 1.0], [*(ID[:-1] - 0.2), 0.0], (50, 200))
    theirs = stats.linregress(logit([*ID[:-1], 0.99]), logit([*(ID[:-1] - 0.2), 0.5 / 200]))
    assert (line.slope, line.intercept) == pytest.approx((theirs.slope, theirs.intercept))


def test_when_there_is_no_line_the_reason_is_given():
    few = fit_line(list(ID[:7]), list(ID[:7] - 0.1), N)
    assert few.reason == "not fitted: 7 reference models, at least 8 are needed"
    assert np.isnan(few.expected(0.8))
    alike = np.linspace(0.90, 0.93, 12)
    assert "span 3.0 points" in fit_line(list(alike), list(alike - 0.2), N).reason
    assert "no OOD" in fit_line(list(ID), [float("nan")] * 9, N).reason
    assert not fit_line([], [], N).fitted


def test_extrapolation_is_told():
    line = fit_line(list(ID), list(ID - 0.1), N)
    assert line.extrapolates(0.97)
    assert line.extrapolates(0.5)
    assert not line.extrapolates(0.8)
