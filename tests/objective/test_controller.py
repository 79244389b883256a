"""The lambda controllers: METHODS 1.9 and property 7 (monotone, clamped, dead band, frozen phases)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tether.objective.controller import Seen, dead_band, id_floor, primal_dual


def look(steering, done, id_val, ood_val=0.5, count=10**6, **terms):
    return steering.decide(done, 100, Seen(id_val, ood_val, count, terms))


def test_below_the_floor_the_weights_fall_by_the_printed_step() -> None:
    s = id_floor(("robust", "rar"), tolerance=0.01, reference=0.9).begin()
    d = look(s, 50, 0.88)  # 0.01 below the floor of 0.89: half of the full step
    assert d.factors["robust"] == pytest.approx(math.exp(-0.4 * 0.5))
    assert d.factors["rar"] == d.factors["robust"]
    assert set(d.factors) == {"robust", "rar"}
    d = look(s, 51, 0.88)
    assert d.factors["robust"] == pytest.approx(math.exp(-0.4))
    d = look(s, 52, 0.50)  # the average is 0.69 now: the full step
    assert d.factors["robust"] == pytest.approx(math.exp(-0.8))


def test_with_slack_the_weights_rise_until_ood_stops_following() -> None:
    s = id_floor(reference=0.9).begin()
    assert look(s, 30, 0.95, 0.60).factors["robust"] == pytest.approx(math.exp(0.2))
    assert look(s, 40, 0.95, 0.60).factors["robust"] == pytest.approx(math.exp(0.4))
    d = look(s, 50, 0.95, 0.40)  # the OOD average falls from 0.60 to 0.50, beyond the band
    assert d.factors["robust"] == pytest.approx(math.exp(0.3))
    assert "back off" in d.reason


def test_inside_the_dead_band_nothing_moves() -> None:
    """200 samples at 0.9: h = 0.0106; second road: half a standard error of the proportion."""
    assert dead_band(0.9, 200) == pytest.approx(0.5 * math.sqrt(0.9 * 0.1 / 200))
    s = id_floor(reference=0.9).begin()
    assert look(s, 50, 0.895, count=200).factors["robust"] == 1.0
    assert look(s, 60, 0.885, count=200).factors["robust"] == 1.0


@pytest.mark.parametrize("done", [1, 19, 81, 100])
def test_the_first_and_the_last_part_are_frozen(done: int) -> None:
    s = id_floor(reference=0.9).begin()
    d = look(s, done, 0.1)
    assert (d.factors["robust"], d.reason) == (1.0, "frozen")
    p = primal_dual(1.0, limit=0.1).begin()
    assert look(p, done, 0.9, robust=3.0).factors["robust"] == 1.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60))
def test_factors_stay_within_thirty(scores) -> None:
    s = id_floor(reference=0.7).begin()
    for a, o in scores:
        d = look(s, 50, a, o)
        assert 1 / 30.001 < d.factors["robust"] < 30.001


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_lower_id_never_gives_more_regularisation(one, other) -> None:
    low, high = sorted((one, other))
    a, b = (look(id_floor(reference=0.8).begin(), 50, v).factors["robust"] for v in (low, high))
    assert a <= b


def test_without_a_reference_the_best_so_far_is_the_goal() -> None:
    s = id_floor().begin()
    look(s, 10, 0.95)
    assert look(s, 50, 0.80).factors["robust"] < 1.0


def test_primal_dual_follows_the_constraint_by_hand() -> None:
    p = primal_dual(weight=0.5, limit=0.2, rate=1.0).begin()
    assert look(p, 50, 0.9, robust=0.4).factors["robust"] == pytest.approx((0.5 + 0.2) / 0.5)
    # The average is 0.5 * 0.4 + 0.5 * 0 = 0.2: the constraint holds exactly and nothing moves.
    assert look(p, 60, 0.9, robust=0.0).factors["robust"] == pytest.approx(0.7 / 0.5)
    assert look(p, 70, 0.9, robust=0.0).factors["robust"] == pytest.approx(0.6 / 0.5)
    free = primal_dual(weight=1.0).begin()
    assert look(free, 50, 0.9, robust=0.4).factors["robust"] == pytest.approx(1.3)  # limit 0.1


@pytest.mark.parametrize("make", [lambda: id_floor(reference=0.9), lambda: primal_dual(1.0)])
def test_a_resumed_controller_decides_the_same(make) -> None:
    import json

    whole, first = make().begin(), make().begin()
    scores = [(0.95, 0.6, 0.3), (0.85, 0.5, 0.5), (0.93, 0.7, 0.1), (0.91, 0.6, 0.2)]
    for i, (a, o, r) in enumerate(scores):
        expected = look(whole, 30 + i, a, o, robust=r)
        second = make().begin()
        second.load(json.loads(json.dumps(first.state())))
        assert look(second, 30 + i, a, o, robust=r) == expected
        first = second


def test_the_interval_is_a_quarter_epoch_and_a_tenth_of_a_short_run() -> None:
    c = id_floor()
    assert c.interval(per_epoch=1000, total=10_000) == 250
    assert c.interval(per_epoch=40, total=10_000) == 100
    assert c.interval(per_epoch=10, total=30) == 3
    assert id_floor(every=7).interval(1000, 10_000) == 7


def test_a_reference_that_is_given_later_is_the_same_controller() -> None:
    given, built = (
        id_floor(tolerance=0.02, every=7).given(0.9),
        id_floor(tolerance=0.02, reference=0.9, every=7),
    )
    assert (given.name, given.every) == (built.name, built.every)
    one, two = given.begin(), built.begin()
    for done, score in [(30, 0.5), (40, 0.95), (50, 0.89)]:
        assert one.decide(done, 100, Seen(score, 0.5, 500)) == two.decide(done, 100, Seen(score, 0.5, 500))
    assert one.factors() == two.factors() != {"robust": 1.0, "feature": 1.0, "rar": 1.0}
    assert primal_dual(1.0).given is None
