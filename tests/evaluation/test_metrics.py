import math

import numpy as np
import pytest
from sklearn import metrics as sk

from tether.errors import RequestError
from tether.evaluation import metrics


@pytest.fixture
def predictions():
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(5), size=400)
    labels = np.where(rng.random(400) < 0.5, probabilities.argmax(1), rng.integers(0, 5, 400))
    return probabilities, labels


def test_scores_agree_with_sklearn(predictions):
    p, y = predictions
    guess = p.argmax(1)
    assert metrics.accuracy(p, y) == pytest.approx(sk.accuracy_score(y, guess))
    assert metrics.balanced_accuracy(p, y) == pytest.approx(sk.balanced_accuracy_score(y, guess))
    assert metrics.macro_f1(p, y) == pytest.approx(sk.f1_score(y, guess, average="macro"))
    assert metrics.nll(p, y) == pytest.approx(sk.log_loss(y, p))


def test_macro_f1_counts_a_class_that_was_only_predicted():
    p, y = np.eye(3)[[0, 1, 2]], np.array([0, 1, 1])
    assert metrics.macro_f1(p, y) == pytest.approx(
        sk.f1_score(y, p.argmax(1), average="macro", zero_division=0)
    )
    assert metrics.macro_f1(p, y) == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_binary_brier_is_twice_sklearns(predictions):
    rng = np.random.default_rng(0)
    positive = rng.random(100)
    y = rng.integers(0, 2, 100)
    ours = metrics.brier(np.stack([1 - positive, positive], axis=1), y)
    assert ours == pytest.approx(2 * sk.brier_score_loss(y, positive))


def test_brier_by_a_plain_loop(predictions):
    p, y = predictions
    slow = sum((p[i, c] - (y[i] == c)) ** 2 for i in range(len(y)) for c in range(5)) / len(y)
    assert metrics.brier(p, y) == pytest.approx(slow)


def test_ece_by_a_plain_loop(predictions):
    p, y = predictions
    slow = 0.0
    for b in range(15):
        inside = [i for i in range(len(y)) if b / 15 < p[i].max() <= (b + 1) / 15]
        if inside:
            hit = sum(p[i].argmax() == y[i] for i in inside) / len(inside)
            slow += len(inside) / len(y) * abs(hit - sum(p[i].max() for i in inside) / len(inside))
    assert metrics.ece(p, y) == pytest.approx(slow)


def test_ece_of_a_calibrated_set_is_small_and_of_an_overconfident_one_is_its_excess():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1.0, 40_000)
    p = np.stack([confidence, 1 - confidence], axis=1)
    y = (rng.random(40_000) > confidence).astype(int)
    assert metrics.ece(p, y) < 0.02
    sure = np.tile([0.999, 0.001], (40_000, 1))
    assert metrics.ece(sure, y) == pytest.approx(0.999 - np.mean(y == 0))


def test_ece_bins_are_closed_on_the_right():
    # 0.6 is the right end of the third of five bins; with 0.55 it shares that bin and the errors cancel.
    p = np.array([[0.6, 0.4], [0.55, 0.45]])
    assert metrics.ece(p, np.array([0, 1]), bins=5) == pytest.approx(abs(0.5 - 0.575))


def test_a_zero_probability_costs_much_but_not_infinity():
    assert metrics.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-math.log(1e-12))


@pytest.mark.parametrize(
    ("p", "y", "word"),
    [
        (np.ones((2, 3)) / 3, np.array([0]), "shape|\\(2, 3\\)"),
        (np.ones((1, 3)) / 3, np.array([3]), "0..2"),
        (np.ones((1, 3)) / 3, np.array([-100]), "unlabelled"),
        (np.ones((0, 3)), np.zeros(0), "at least one"),
    ],
)
def test_what_does_not_fit_is_named(p, y, word):
    with pytest.raises(RequestError, match=word):
        metrics.accuracy(p, y)


def test_gap_edges():
    assert metrics.robustness_gap(0.8, 0.6) == pytest.approx(0.25)
    assert metrics.robustness_gap(0.5, 0.75) == pytest.approx(-0.5)  # easier data: negative, not clipped
    assert math.isnan(metrics.robustness_gap(0.0, 0.0))
    assert math.isnan(metrics.robustness_gap(-0.1, 0.5))
    assert metrics.robustness_gap_chance(0.9, 0.1, 0.1) == pytest.approx(1.0)
    assert metrics.robustness_gap_chance(0.9, 0.5, 0.1) == pytest.approx(0.5)
    assert math.isnan(metrics.robustness_gap_chance(0.1, 0.1, 0.1))


def test_gap_of_arrays_is_the_gap_of_each():
    i, o = np.array([0.8, 0.0, 0.5]), np.array([0.6, 0.1, 0.5])
    each = [metrics.robustness_gap(float(a), float(b)) for a, b in zip(i, o, strict=True)]
    np.testing.assert_allclose(metrics.robustness_gap(i, o), each)


def test_relative_reduction_is_not_given_for_a_tiny_reference():
    out = metrics.relative_reduction(np.array([0.1, 0.3, 0.0]), np.array([0.2, 0.2, 0.01]))
    np.testing.assert_allclose(out, [0.5, -0.5, np.nan])
