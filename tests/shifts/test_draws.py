from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tether.shifts.draws import Draws, scramble, unit

IDS = torch.arange(200)


def test_words_follow_the_plain_integer_recipe():
    """Second road: splitmix64's finaliser in Python's unbounded integers."""

    def plain(word: int, salt: int) -> int:
        full = (1 << 64) - 1
        z = (word + salt * 0x9E3779B97F4A7C15) & full
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & full
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & full
        return z ^ (z >> 31)

    inputs = [0, 1, -1, 2**62, -(2**63), 123456789]
    for salt in (0, 1, 77):
        got = scramble(torch.tensor(inputs), salt).tolist()
        assert [g % (1 << 64) for g in got] == [plain(i % (1 << 64), salt) for i in inputs]


def test_splitmix_reference_value():
    # The first output of splitmix64 started at 0, as published with the algorithm.
    assert scramble(torch.tensor([0]), 1).item() % (1 << 64) == 0xE220A8397B1DCDAF


def test_unit_covers_the_half_open_interval():
    words = torch.tensor([0, -1, -(2**63)])
    assert unit(words).tolist() == [0.0, 1 - 2.0**-24, 0.5]


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(st.integers(0, 2**62), min_size=1, max_size=12, unique=True),
    seed=st.integers(-(2**40), 2**40),
    data=st.data(),
)
def test_draws_belong_to_the_sample(ids, seed, data):
    order = data.draw(st.permutations(range(len(ids))))
    cut = data.draw(st.integers(0, len(ids)))
    whole, d = torch.tensor(ids), Draws(seed)
    for draw in (
        lambda i: d.uniform(i, (3, 5), "a"),
        lambda i: d.normal(i, (3, 5), "a"),
        lambda i: d.integers(i, -4, 9, (7,), "a"),
    ):
        full = draw(whole)
        assert torch.equal(draw(whole[order]), full[order])
        assert torch.equal(torch.cat([draw(whole[:cut]), draw(whole[cut:])]), full)


def test_a_longer_draw_begins_with_the_shorter_one():
    d = Draws(3)
    assert torch.equal(d.uniform(IDS, (100,), "a")[:, :7], d.uniform(IDS, (7,), "a"))
    assert torch.equal(d.normal(IDS, (100,), "a")[:, :7], d.normal(IDS, (7,), "a"))


@pytest.mark.parametrize("axis", ["elements", "ids"])
def test_uniform_is_uniform(axis):
    ids, shape = (torch.tensor([5]), (40_000,)) if axis == "elements" else (torch.arange(40_000), ())
    u = Draws(0).uniform(ids, shape, "u").flatten().double().numpy()
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert u.min() >= 0
    assert u.max() < 1


def test_normal_is_normal():
    z = Draws(1).normal(IDS, (500,), "z").flatten().double().numpy()
    n = len(z)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / n)
    # The two normals made of one word must not go together, nor their sizes.
    pairs = Draws(1).normal(IDS, (500,), "z").view(-1, 2).double()
    assert abs(stats.pearsonr(pairs[:, 0], pairs[:, 1]).statistic) < 4 / math.sqrt(n / 2)
    assert abs(stats.pearsonr(pairs[:, 0] ** 2, pairs[:, 1] ** 2).statistic) < 4 / math.sqrt(n / 2)


def test_integers_are_even():
    k = Draws(2).integers(IDS, -3, 8, (500,), "k").flatten()
    counts = torch.bincount(k + 3)
    assert len(counts) == 11
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    with pytest.raises(ValueError, match="low < high"):
        Draws(2).integers(IDS, 3, 3, (), "k")


def test_names_ids_seeds_and_steps_are_unrelated():
    n = 4000
    one = torch.tensor([1])
    streams = [
        Draws(0).uniform(one, (n,), "a"),
        Draws(0).uniform(one, (n,), "b"),
        Draws(0).uniform(one + 1, (n,), "a"),
        Draws(1).uniform(one, (n,), "a"),
        Draws(0, step=1).uniform(one, (n,), "a"),
        Draws(0).spawn("a").uniform(one, (n,), "a"),
        Draws(0).spawn("b").uniform(one, (n,), "a"),
        Draws(0, step=1).spawn("a").uniform(one, (n,), "a"),
    ]
    for a, b in itertools.combinations(streams, 2):
        assert abs(stats.pearsonr(a[0], b[0]).statistic) < 4.5 / math.sqrt(n)


def test_python_generator_is_stable_across_processes():
    # A fixed number: it would change if the key hung on Python's own, salted hash().
    fixed = 0.26775942081746384
    assert Draws(0).rng(7, "text").random() == fixed
    others = [
        Draws(0).rng(8, "text"),
        Draws(0).rng(7, "t"),
        Draws(1).rng(7, "text"),
        Draws(0, 1).rng(7, "text"),
    ]
    assert len({r.random() for r in others} | {fixed}) == 5


def test_the_global_generator_is_neither_read_nor_moved():
    first = Draws(0).normal(IDS, (4,), "z")
    torch.rand(3)
    before = torch.get_rng_state()
    assert torch.equal(Draws(0).normal(IDS, (4,), "z"), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_halves_are_the_two_ends_of_each_word():
    """Second road: Python's own bytes of the 64-bit words, an odd count included."""
    ids = torch.tensor([5, 9])
    want = []
    for row in Draws(4).words(ids, (3,), "h").tolist():
        raw = b"".join(word.to_bytes(8, "little", signed=True) for word in row)
        want.append([int.from_bytes(raw[i : i + 4], "little", signed=True) for i in range(0, 24, 4)])
    got = Draws(4).halves(ids, (5,), "h")
    assert got.dtype == torch.int32
    assert got.tolist() == [row[:5] for row in want]
    assert Draws(4).halves(ids, (), "h").tolist() == [row[0] for row in want]
    assert Draws(4).halves(ids, (2, 2), "h").shape == (2, 2, 2)
    # Both halves are even over their whole range.
    u = Draws(0).halves(torch.tensor([1]), (40_000,), "h").double().flatten().numpy() / 2**32 + 0.5
    assert stats.kstest(u[::2], "uniform").pvalue > 1e-3
    assert stats.kstest(u[1::2], "uniform").pvalue > 1e-3
