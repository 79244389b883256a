"""Retrieval with packaged weights and texts: near in meaning, and never what is held out."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tether.config import load_config
from tether.data import read_pool
from tether.scene import ingredients
from tether.shifts import Draws, get
from tether.shifts.retrieved.neighbours import Rules, find
from tether.supply import supplies_of

pytestmark = pytest.mark.integration

SUBJECTS = {
    "food": ("the soup", "my breakfast", "that pizza", "the coffee here"),
    "travel": ("the flight", "our hotel", "the train ride", "that beach"),
    "work": ("my boss", "the interview", "this meeting", "the new office"),
    "weather": ("the rain", "this heat", "the snow today", "the morning sun"),
}
FEELINGS = (
    "made me so happy",
    "was a huge disappointment",
    "is simply wonderful",
    "drives me crazy",
    "left us tired",
)
CLOSINGS = ("", ", honestly", " and everybody agreed", ", as my sister always says", " once again")


def templates() -> list[str]:
    """300 short texts, made here: none is of any of the data's domains."""
    made = [f"{s} {f}{c}." for group in SUBJECTS.values() for s in group for f in FEELINGS for c in CLOSINGS]
    return random.Random(0).sample(made, 300)


def test_views_are_nearer_than_chance_and_none_is_held_out():
    config = load_config(
        "sentiment", ["data.limit={train: 120, id_val: 60, id_test: 60, ood_val: 60, ood_test: 60}"]
    )
    data, engine, loaded = ingredients(config)
    given = supplies_of(config, data, engine, loaded)
    pool = (
        templates() + list(data.id_test.batch(range(20)).x) + list(data.ood_test["movie"].batch(range(20)).x)
    )
    found = find(read_pool(pool), given, Rules(), 64)
    assert found.counts["the same as a training or held-out sample"] == 40
    used = found.rows[found.rows >= 0]
    assert used.max() < 300
    assert np.bincount(used).max() <= 3
    shift = get({"name": "retrieved", "pool": pool}).prepared(given)
    batch = data.train.batch(range(120))
    out = shift(batch, 1, Draws(0))
    replaced = (out.y == -100).numpy()
    assert replaced.sum() > 60

    def cosines(a, b):
        one, two = (given.embed(x).numpy() for x in (a, b))
        return (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)

    near = cosines(batch, out)[replaced]
    other = np.roll(np.flatnonzero(replaced), 1)
    chance = cosines(batch.take(np.flatnonzero(replaced).tolist()), out.take(other.tolist()))
    assert near.mean() > chance.mean() + 0.1
