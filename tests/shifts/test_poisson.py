from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tether.shifts.draws import Draws
from tether.shifts.poisson import _CELLS, _FINE, _FIRST, _guide, _levels, poisson


def counts(light: float, photons: float, n: int) -> np.ndarray:
    return poisson(torch.full((n,), light), photons, torch.arange(n), Draws(0)).numpy()


@pytest.mark.parametrize(
    ("light", "photons"),
    [(1.0, 3), (100 / 255, 12), (0.7, 25), (1.0, 60), (1 / 255, 60), (0.333, 60), (0.4999, 500), (1.0, 500)],
)
def test_counts_follow_the_distribution(light, photons):
    """Second road: scipy's Poisson probabilities, pooled so that each cell expects 20 or more."""
    n = 60_000
    got, rate = counts(light, photons, n), light * photons
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


@pytest.mark.parametrize("photons", [3, 60, 75, 500, 600])
def test_the_table_holds_every_distribution_to_the_last_bit(photons):
    """Not by samples: each entry gives two counts and the step between them; add up what each count gets.

    All 256 levels against scipy. A guide with two steps in one cell, or one put off by a cell, fails.
    """
    cells = 32 << (23 - _FINE)  # up to a tail of a half; the rest is for a draw that rounds up to it
    guide = _guide(float(photons)).view(256, 2, _CELLS)[:, :, :cells].long().numpy()
    edges = (np.arange(_FIRST, _FIRST + cells + 1, dtype=np.int32) << _FINE).view(np.float32) * 2.0**-32
    width = np.diff(edges.astype(np.float64))
    more = (guide & ((1 << _FINE) - 1)) / (1 << _FINE) * width  # the part of the cell that gets one more
    low = guide >> _FINE
    k = np.arange(low.max() + 2)
    for level in range(256):
        got = np.bincount(low[level].ravel(), (width - more[level]).ravel(), len(k))
        got += np.bincount(low[level].ravel() + 1, more[level].ravel(), len(k))
        want = stats.poisson.pmf(k, level * photons / 255)
        # A cell's fine bits resolve 2^-18 of it; what no draw reaches lies beyond a tail of 2^-33.
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=3e-8)


def test_the_tail_is_there():
    """Far out a relative error counts: the tails of one level, from 1e-3 to 1e-8, to a thousandth."""
    guide = _guide(60.0).view(256, 2, _CELLS)[255, 1].long()
    edges = (torch.arange(_FIRST, _FIRST + _CELLS + 1, dtype=torch.int32) << _FINE).view(torch.float32)
    k = np.arange(85, 105)
    upper = stats.poisson.sf(k, 60)
    # The tail at which the count falls to k: the cell whose base is k or less first, and its fraction.
    found = []
    for value in k:
        cell = int((guide < ((value + 1) << _FINE)).nonzero()[0])
        part = (guide[cell].item() & ((1 << _FINE) - 1)) / (1 << _FINE)
        left, right = edges[cell].item(), edges[cell + 1].item()
        found.append((left + (right - left) * part) * 2.0**-32)
    np.testing.assert_allclose(found, upper, rtol=1e-3)


def test_a_picture_of_floats_is_as_exact_as_one_of_bytes():
    """Between two levels the rest is drawn on its own; mean and variance are both the rate."""
    n = 200_000
    for light in (0.5, 0.5 + 0.7 / 255, 0.1234567):
        got = counts(light, 500, n)
        rate = 500 * float(np.float32(light))
        assert abs(got.mean() - rate) < 4 * np.sqrt(rate / n)
        assert abs(got.var() / rate - 1) < 4 * np.sqrt(2 / n)


def test_every_byte_counts_as_one():
    """Bytes divided by 255, in float32: no rest is found in them, so they take the short way."""
    level, rest = _levels(torch.arange(256.0) / 255)
    assert rest is None
    assert torch.equal(level, torch.arange(256.0))


def test_a_pattern_is_the_same_at_every_number_of_photons():
    light, ids = torch.full((1, 20_000), 0.5), torch.tensor([3])
    many, few = ((poisson(light, n, ids, Draws(0)) / n - 0.5).flatten().numpy() for n in (60, 25))
    assert stats.pearsonr(many, few).statistic > 0.95
    other = (poisson(light, 25, ids + 1, Draws(0)) / 25 - 0.5).flatten().numpy()
    assert abs(stats.pearsonr(many, other).statistic) < 0.04


def test_zero_light_and_independence_of_the_split():
    light = torch.linspace(0, 1, 500).expand(4, 500).clone()
    ids = torch.arange(4)
    whole = poisson(light, 60, ids, Draws(1))
    assert (whole[:, 0] == 0).all()
    parts = [poisson(light[i : i + 1], 60, ids[i : i + 1], Draws(1)) for i in range(4)]
    assert torch.equal(torch.cat(parts), whole)
    with pytest.raises(ValueError, match="photons <= 600"):
        poisson(light, 700, ids, Draws(1))
