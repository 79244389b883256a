import math

import numpy as np
import pytest
from scipy import stats

from tether.errors import RequestError
from tether.evaluation.headline import SetKey, headline_kind, id_weights, kind_weights
from tether.evaluation.statistics import UNKNOWN, Interval, holm, t_interval, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 7), (10, 10), (480, 1000)])
def test_wilson_agrees_with_scipy(hits, n):
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    ours = wilson(hits, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert ours.value == hits / n


def test_wilson_needs_examples():
    with pytest.raises(RequestError, match="n > 0"):
        wilson(0, 0)


def test_t_interval_agrees_with_scipy():
    x = [0.91, 0.88, 0.93, 0.9]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(x), scale=stats.sem(x))
    ours = t_interval(x)
    assert (ours.value, ours.low, ours.high) == pytest.approx((np.mean(x), low, high))


def test_one_seed_has_a_mean_but_no_interval():
    one = t_interval([0.5])
    assert one.value == 0.5
    assert math.isnan(one.low)
    assert not one.known
    assert math.isnan(t_interval([]).value)


def test_holm_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; never decreasing: .02 .03 .06 .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_does_not_count_what_was_not_asked():
    out = holm([0.02, math.nan, 0.5])
    assert out[0] == pytest.approx(0.04)
    assert math.isnan(out[1])


def test_excludes_zero():
    assert Interval(1, 0.1, 2).excludes_zero
    assert Interval(-1, -2, -0.1).excludes_zero
    assert not Interval(1, -0.1, 2).excludes_zero
    assert not UNKNOWN.excludes_zero


SETS = [
    SetKey("fog", "synthetic", 1),
    SetKey("fog", "synthetic", 3),
    SetKey("id_test", "id"),
    SetKey("noise", "synthetic", 5),
    SetKey("optdigits", "natural"),
]


def test_headline_is_natural_when_there_is_any():
    assert headline_kind(SETS) == "natural"
    assert headline_kind(SETS[:4]) == "synthetic"


def test_synthetic_mean_is_over_severities_then_names():
    scores = np.array([0.6, 0.2, 0.9, 0.8, 0.7])
    assert scores @ kind_weights(SETS, "synthetic") == pytest.approx(((0.6 + 0.2) / 2 + 0.8) / 2)
    assert scores @ kind_weights(SETS, "natural") == pytest.approx(0.7)
    assert scores @ id_weights(SETS) == pytest.approx(0.9)
    assert np.isnan(kind_weights(SETS, "adversarial")).all()


def test_id_test_is_not_mixed_with_other_id_sets():
    sets = [SetKey("id_test", "id"), SetKey("id_val", "id")]
    np.testing.assert_array_equal(id_weights(sets), [1, 0])
    np.testing.assert_array_equal(id_weights([SetKey("a", "id"), SetKey("b", "id")]), [0.5, 0.5])
