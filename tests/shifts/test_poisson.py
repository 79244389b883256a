from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tether.shifts.draws import Draws
from tether.shifts.poisson import poisson


@pytest.mark.parametrize("rate", [0.3, 4.0, 9.99, 10.0, 33.3, 500.0])
def test_counts_follow_the_distribution(rate):
    """Second road: scipy's Poisson probabilities, pooled so that each cell expects 20 or more."""
    n = 60_000
    got = poisson(torch.full((n,), rate), Draws(0).words(torch.arange(n), (), "p")).numpy()
    assert (got == np.round(got)).all()
    top = int(stats.poisson.ppf(1 - 1e-9, rate))
    expected = stats.poisson.pmf(np.arange(top + 1), rate) * n
    observed = np.bincount(got.astype(int), minlength=top + 1)
    assert len(observed) == top + 1
    cells, e, o = [], 0.0, 0
    for x, y in zip(expected, observed, strict=True):
        e, o = e + x, o + y
        if e >= 20:
            cells.append((e, o))
            e, o = 0.0, 0
    cells[-1] = (cells[-1][0] + e, cells[-1][1] + o)
    want, have = np.array(cells).T
    assert stats.chisquare(have, want * have.sum() / want.sum()).pvalue > 1e-3
    assert abs(got.mean() - rate) < 4 * np.sqrt(rate / n)


def test_zero_rate_and_independence_of_the_split():
    rate = torch.linspace(0, 60, 500)
    words = Draws(1).words(torch.arange(500), (), "p")
    whole = poisson(rate, words)
    assert whole[0] == 0
    assert torch.equal(torch.cat([poisson(rate[:123], words[:123]), poisson(rate[123:], words[123:])]), whole)
