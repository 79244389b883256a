from __future__ import annotations

import pytest
import torch
from scipy import stats

from tether.shifts import Draws
from tether.shifts.beta import beta


@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 1), (1, 4), (0.2, 0.2), (2.5, 2.5), (2, 0.7)])
def test_law_and_moments(a, b):
    u = Draws(0).uniform(torch.arange(4000), (), "u")
    got = beta(u, a, b)
    assert stats.kstest(got.numpy(), stats.beta(a, b).cdf).pvalue > 1e-3
    even = beta((torch.arange(20000) + 0.5) / 20000, a, b).double()  # quantiles at even steps
    assert even.mean().item() == pytest.approx(a / (a + b), abs=1e-4)
    assert even.var().item() == pytest.approx(a * b / ((a + b) ** 2 * (a + b + 1)), abs=1e-4)


def test_the_closed_forms_are_the_general_one():
    u = torch.linspace(0, 0.999, 50)
    for a, b in ((3.0, 1.0), (1.0, 3.0)):
        want = torch.tensor(stats.beta(a, b).ppf(u.numpy()), dtype=torch.float32)
        torch.testing.assert_close(beta(u, a, b), want, atol=1e-5, rtol=1e-4)


def test_parameters_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        beta(torch.zeros(1), 0, 1)
