import math
import random

import pytest

from tether.errors import RequestError
from tether.evaluation.corruption_error import (
    ALEXNET,
    ALEXNET_CLEAN,
    alexnet_errors,
    corruption_errors,
    mce,
    relative_corruption_errors,
    relative_mce,
    why_no_mce,
)


def some_errors():
    return {c: {s: 0.1 * s + 0.01 * i for s in range(1, 6)} for i, c in enumerate(ALEXNET)}


def test_alexnet_has_100():
    assert mce(alexnet_errors(), 1000, 224) == pytest.approx(100)
    assert relative_mce(alexnet_errors(), ALEXNET_CLEAN, 1000, 224) == pytest.approx(100)


def test_by_a_plain_loop():
    e = some_errors()
    total = relative = 0.0
    for c in ALEXNET:
        mine, theirs = sum(e[c][s] for s in range(1, 6)), 5 * ALEXNET[c]
        total += mine / theirs / 15
        relative += (mine - 5 * 0.08) / (theirs - 5 * 0.435) / 15
    assert mce(e, 1000, 224) == pytest.approx(100 * total)
    assert relative_mce(e, 0.08, 1000, 224) == pytest.approx(100 * relative)


def test_the_order_of_the_corruptions_changes_nothing():
    e = some_errors()
    names = list(e)
    random.Random(3).shuffle(names)
    assert mce({c: e[c] for c in names}, 1000, 224) == mce(e, 1000, 224)
    wrong = dict(zip(names, e.values(), strict=True))  # errors under other names: the map is what counts
    assert mce(wrong, 1000, 224) != pytest.approx(mce(e, 1000, 224))


def test_other_corruptions_do_not_enter():
    e = some_errors()
    more = {**e, "frost_proc": dict.fromkeys(range(1, 6), 1.0), "spatter": {3: 1.0}}
    assert mce(more, 1000, 224) == mce(e, 1000, 224)


@pytest.mark.parametrize(
    ("change", "classes", "side", "said"),
    [
        ({}, 100, 224, "1000 classes, this task has 100"),
        ({}, 1000, 64, "224 pixels, these have 64"),
        ({}, 1000, None, "224 pixels, these have None"),
        ({"fog": None}, 1000, 224, "all 15 corruptions, fog missing"),
        ({"frost": None}, 1000, 224, "frost missing; frost_proc is our own frost"),
        ({"snow": {1: 0.5, 3: 0.5, 5: 0.5}}, 1000, 224, "severities 1 to 5, not all tested of snow"),
    ],
)
def test_elsewhere_it_is_refused_by_name(change, classes, side, said):
    e = {c: v for c, v in {**some_errors(), **change}.items() if v is not None}
    e["frost_proc"] = dict.fromkeys(range(1, 6), 0.5)
    assert said in why_no_mce(e, classes, side)
    with pytest.raises(RequestError, match="nCE"):
        mce(e, classes, side)


def test_ratios_over_common_severities_and_their_edges():
    ours = {"fog": {1: 0.2, 2: 0.9, 3: 0.4}}
    assert corruption_errors(ours, {"fog": {1: 0.4, 3: 0.8, 5: 1.0}}) == {"fog": pytest.approx(0.5)}
    assert math.isnan(corruption_errors(ours, {"fog": {1: 0.0}})["fog"])
    helped = relative_corruption_errors({"fog": {1: 0.1}}, 0.2, {"fog": {1: 0.5}}, 0.3)
    assert helped == {"fog": pytest.approx(-0.5)}  # the corruption helps: negative, not clipped
    assert math.isnan(relative_corruption_errors(ours, 0.1, {"fog": {1: 0.3}}, 0.3)["fog"])
    with pytest.raises(RequestError, match="not tested under fog"):
        corruption_errors(ours, {"fog": {4: 0.5}})
