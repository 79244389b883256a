import numpy as np
import pytest
from scipy.special import softmax

from tether.evaluation.calibration import fit_temperature, tempered
from tether.evaluation.metrics import nll


def test_tempering_divides_the_logits():
    z = np.random.default_rng(0).normal(0, 3, (50, 4))
    np.testing.assert_allclose(tempered(softmax(z, axis=1), 2.5), softmax(z / 2.5, axis=1))
    assert tempered(np.array([[1.0, 0.0]]), 3.0).tolist() == [[1.0, 0.0]]
    assert np.isfinite(tempered(np.array([[1e-30, 1e-30]]), 0.05)).all()


def test_the_temperature_that_made_the_labels_is_found():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, (20_000, 3))
    labels = (softmax(z, axis=1).cumsum(1) > rng.random((20_000, 1))).argmax(1)
    assert fit_temperature(softmax(3 * z, axis=1), labels) == pytest.approx(3, rel=0.05)


def test_it_is_the_best_of_a_grid():
    rng = np.random.default_rng(2)
    p, y = rng.dirichlet(np.ones(5) / 3, 300), rng.integers(0, 5, 300)
    found = fit_temperature(p, y)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 200))
    assert nll(tempered(p, found), y) <= min(nll(tempered(p, t), y) for t in grid) + 1e-6
