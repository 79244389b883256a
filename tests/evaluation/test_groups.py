"""Groups and classes by a second road: scikit-learn and scipy on the examples of each."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from tether.evaluation.groups import (
    Grouping,
    Names,
    groups_of,
    judged_groups,
    tenth_percentile,
    worst_group,
)
from tether.evaluation.headline import SetKey
from tether.evaluation.headline_metric import cells
from tether.evaluation.rows import breakdown_rows, result_rows

KEY = SetKey("test", "natural")
NAMES = Names(("no", "yes", "maybe"), ("north", "east", "south", "west"), ("women", "men"))


@pytest.fixture
def answered():
    rng = np.random.default_rng(8)
    p = rng.dirichlet(np.ones(3), size=400).astype(np.float32)
    y = np.where(rng.random(400) < 0.6, p.argmax(1), rng.integers(0, 3, 400))
    codes = rng.choice([-1, 0, 1, 2, 3], p=[0.05, 0.4, 0.3, 0.21, 0.04], size=400)
    members = rng.random((400, 2)) < [0.5, 0.3]
    return p, y, codes, members


def by_metric(rows):
    return {row["metric"]: row for row in rows}


def test_plain_groups_against_sklearn(answered):
    p, y, codes, _ = answered
    rows = breakdown_rows(KEY, p, y, Grouping(codes), NAMES)
    for g, name in enumerate(NAMES.groups):
        inside = codes == g
        mine = by_metric(r for r in rows if (r["by"], r["name"]) == ("group", name))
        assert mine["accuracy"]["n"] == inside.sum()
        if inside.sum() < 25:
            assert mine["accuracy"]["value"] is None
            assert set(mine) == {"accuracy"}
            continue
        guess, labels = p[inside].argmax(1), y[inside]
        hits = int((guess == labels).sum())
        low, high = stats.binomtest(hits, len(labels)).proportion_ci(method="wilson")
        assert (mine["accuracy"]["low"], mine["accuracy"]["high"]) == pytest.approx((low, high))
        assert mine["balanced_accuracy"]["value"] == pytest.approx(sk.balanced_accuracy_score(labels, guess))
        assert mine["macro_f1"]["value"] == pytest.approx(sk.f1_score(labels, guess, average="macro"))
        assert mine["nll"]["value"] == pytest.approx(sk.log_loss(labels, p[inside]), rel=1e-5)
    assert (codes == 3).sum() < 25  # the case is there
    assert not any(r["name"] == "-1" for r in rows)


def test_classes_against_sklearn(answered):
    p, y, codes, _ = answered
    rows = breakdown_rows(KEY, p, y, Grouping(codes), NAMES)
    precision, recall, f1, support = sk.precision_recall_fscore_support(y, p.argmax(1))
    for c, name in enumerate(NAMES.classes):
        mine = by_metric(r for r in rows if (r["by"], r["name"]) == ("class", name))
        assert mine["accuracy"]["value"] == pytest.approx(recall[c])
        assert mine["accuracy"]["n"] == support[c]
        assert mine["precision"]["value"] == pytest.approx(precision[c])
        assert mine["f1"]["value"] == pytest.approx(f1[c])
        slow = np.mean([sum((p[i, k] - (k == c)) ** 2 for k in range(3)) for i in np.flatnonzero(y == c)])
        assert mine["brier"]["value"] == pytest.approx(slow)


def test_a_class_that_is_never_named_has_no_precision():
    p, y = np.tile([0.6, 0.4], (30, 1)), np.repeat([0, 1], 15)
    mine = by_metric(r for r in breakdown_rows(KEY, p, y) if r["name"] == "1")
    assert mine["precision"]["value"] is None
    assert mine["f1"]["value"] == 0


def test_overlapping_groups_count_once_for_each_label(answered):
    """WILDS' rule for CivilComments, by a plain loop."""
    p, y, _, members = answered
    groups = groups_of(y, Grouping(members=members), NAMES)
    shares = {}
    for g, person in enumerate(NAMES.members):
        for c, label in enumerate(NAMES.classes):
            rows = [i for i in range(400) if members[i, g] and y[i] == c]
            shares[f"{person}, {label}"] = np.mean([p[i].argmax() == y[i] for i in rows])
    assert [g.name for g in groups] == list(shares)
    found = worst_group(p, y, groups)
    assert found is not None
    assert found[0].name == min(shares, key=shares.get)
    assert found[1].value == pytest.approx(min(shares.values()))
    assert tenth_percentile(p, y, groups) == pytest.approx(np.percentile(list(shares.values()), 10))
    assert sum(g.n for g in groups) > members.any(1).sum()  # they do overlap


def test_a_small_group_is_counted_and_not_judged(answered):
    p, y, codes, _ = answered
    groups = groups_of(y, Grouping(codes), NAMES)
    assert {g.name for g in groups} - {g.name for g in judged_groups(groups)} == {"west"}
    row = by_metric(result_rows(KEY, p, y, Grouping(codes), NAMES))["worst_group"]
    assert (row["groups"], row["too_small"]) == (3, 1)
    assert row["group"] in NAMES.groups[:3]
    assert row["n"] == (codes == NAMES.groups.index(row["group"])).sum()


def test_one_group_is_no_worst_group(answered):
    p, y, _, _ = answered
    rows = result_rows(KEY, p, y, Grouping(np.zeros(400, int)), NAMES)
    assert "worst_group" not in by_metric(rows)
    assert {r["by"] for r in breakdown_rows(KEY, p, y, Grouping(np.zeros(400, int)), NAMES)} == {"class"}


@pytest.mark.parametrize(
    "metric", ["accuracy", "balanced_accuracy", "macro_f1", "worst_group", "tenth_percentile"]
)
def test_a_headline_metric_of_cells_is_the_rows_value(answered, metric):
    p, y, codes, _ = answered
    groups = groups_of(y, Grouping(codes), NAMES)
    rows = by_metric(result_rows(KEY, p, y, Grouping(codes), NAMES))
    made = cells(metric, p, y, groups)
    assert made.value() == pytest.approx(rows[metric]["value"])
    # A resample: the same examples, some of them several times, against the metric of the repeated rows.
    drawn = np.random.default_rng(0).integers(0, 400, 400)
    counts = np.bincount(drawn, minlength=400).astype(float)
    score = made.reduce(made.columns.T @ counts)
    again = cells(metric, p[drawn], y[drawn], [type(g)(g.by, g.name, g.inside[drawn]) for g in groups])
    assert score == pytest.approx(again.value())
