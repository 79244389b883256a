"""Uniform and greedy soups on models whose means are known."""

from __future__ import annotations

import pytest
import torch

from tether import tune
from tether.errors import RequestError
from tether.finish import Scores, greedy, mean_of, trained_state, uniform
from tiny import tiny_model

BIAS = "heads.main.bias"


def setup(own: float, others: dict[str, float]):
    """A model that trains everything; every weight of an ingredient is the same number."""
    model = tiny_model()
    tune.full().apply(model)
    states = {}
    for name, value in others.items():
        states[name] = {n: torch.full_like(p, value) for n, p in trained_state(model).items()}
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(own)
    return model, states


def by_value(table: dict[float, float]):
    """A judge that reads the number the weights hold."""

    def judge(model) -> Scores:
        return Scores(table[round(float(model.heads["main"].bias[0].detach()), 4)], None, 100)

    return judge


def test_uniform_is_the_mean_of_every_weight() -> None:
    model, states = setup(1.0, {"a": 2.0, "b": 6.0})
    rows = uniform.apply(model, states, by_value({}))
    assert all(torch.equal(p, torch.full_like(p, 3.0)) for p in model.parameters())
    assert [(r.name, r.used) for r in rows] == [("own", True), ("a", True), ("b", True)]
    assert uniform.looks(3) == 0


def test_the_mean_is_of_random_weights_too() -> None:
    g = torch.Generator().manual_seed(0)
    states = [{"w": torch.randn(3, 2, generator=g)} for _ in range(4)]
    want = torch.tensor([[sum(float(s["w"][i, j]) for s in states) / 4 for j in range(2)] for i in range(3)])
    torch.testing.assert_close(mean_of(states)["w"], want)
    assert mean_of(states)["w"].dtype == torch.float32


def test_greedy_goes_down_from_the_best_and_keeps_what_does_not_harm() -> None:
    # Alone: own .5, a .9, b .8, c .7. Then (a, b), no drop; (a, b, c), a drop; (a, b, own), better.
    model, states = setup(1.0, {"a": 2.0, "b": 6.0, "c": 10.0})
    alone = {1.0: 0.5, 2.0: 0.9, 6.0: 0.8, 10.0: 0.7}
    mixed = {4.0: 0.9, 6.0: 0.6, 3.0: 0.95}
    asked = []

    def judge(m) -> Scores:
        value = round(float(m.heads["main"].bias[0].detach()), 4)
        asked.append(value)
        return Scores((alone if len(asked) <= 4 else mixed)[value], None, 100)

    rows = greedy.apply(model, states, judge)
    assert asked == [1.0, 2.0, 6.0, 10.0, 4.0, 6.0, 3.0]  # alone, then (2+6)/2, (2+6+10)/3, (2+6+1)/3
    assert len(asked) == greedy.looks(4)
    assert [(r.name, r.used) for r in rows] == [("a", True), ("b", True), ("c", False), ("own", True)]
    assert [r.mixed.id_val for r in rows] == [0.9, 0.9, 0.6, 0.95]
    assert all(torch.equal(p, torch.full_like(p, 3.0)) for p in model.parameters())


def test_greedy_is_never_below_its_best_ingredient() -> None:
    model, states = setup(1.0, {"a": 3.0})
    rows = greedy.apply(model, states, by_value({1.0: 0.6, 3.0: 0.9, 2.0: 0.1}))
    assert float(model.heads["main"].bias[0].detach()) == 3.0
    assert [(r.name, r.used) for r in rows] == [("a", True), ("own", False)]


@pytest.mark.parametrize("blend", [uniform, greedy])
def test_unlike_weights_and_low_rank_factors_are_refused(blend) -> None:
    model, _ = setup(1.0, {})
    with pytest.raises(RequestError, match="one start"):
        blend.apply(model, {"a": {"w": torch.zeros(2)}}, by_value({}))
    adapted = tiny_model()
    tune.lora(rank=2).apply(adapted)
    with pytest.raises(RequestError, match="factor by factor"):
        blend.apply(adapted, {"a": trained_state(adapted)}, by_value({}))
