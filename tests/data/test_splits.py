from collections import Counter

import numpy as np
import pytest

from tether.data.config import Fractions, OodDomains
from tether.data.splits import by_column, by_fraction, limited
from tether.data.stratify import quotas, stratified
from tether.errors import RequestError

LABELS = np.array([0] * 60 + [1] * 30 + [2] * 10)
NONE = OodDomains()


def divide(labels=LABELS, domains=None, ood=NONE, groups=None, seed=0, fractions=None):
    return by_fraction("t", labels, fractions or Fractions(), domains, ood, groups, seed)


def test_by_column_makes_a_set_of_each_ood_domain():
    splits = ["train", "ood_test", "id_val", "ood_test", "ood_val", "id_test"]
    sets = by_column("t", splits, ["a", "z", "a", "b", "c", "a"], None)
    assert {name: rows.tolist() for name, rows in sets.items()} == {
        "train": [0],
        "id_val": [2],
        "id_test": [5],
        "ood_val/c": [4],
        "ood_test/b": [3],
        "ood_test/z": [1],
    }
    assert list(by_column("t", splits, None, None))[3:] == ["ood_val/ood_val", "ood_test/ood_test"]


def test_by_column_keeps_ood_val_and_ood_test_apart():
    with pytest.raises(RequestError, match=r"\['b'\] are in ood_val and in ood_test"):
        by_column("t", ["ood_val", "ood_test", "train"], ["b", "b", "b"], None)


def test_by_column_refuses_a_group_on_two_sides():
    with pytest.raises(RequestError, match="the group 'g' is in id_test"):
        by_column("t", ["train", "id_test"], None, ["g", "g"])
    by_column("t", ["ood_test", "id_test"], ["x", "y"], ["g", "g"])  # two sets of one purpose


def test_fractions_are_stratified_and_cover_every_row_once():
    sets = divide()
    assert sorted(np.concatenate(list(sets.values()))) == list(range(100))
    assert [len(rows) for rows in sets.values()] == [70, 15, 15]
    for name, share in (("train", 0.7), ("id_val", 0.15), ("id_test", 0.15)):
        counts = np.bincount(LABELS[sets[name]], minlength=3)
        # Within one row and a half: two draws, each rounded, after one row a class is set aside for train.
        assert np.abs(counts - share * np.array([60, 30, 10])).max() <= 1.5


def test_fractions_are_seeded():
    first, again, other = divide(seed=1), divide(seed=1), divide(seed=2)
    assert first["id_test"].tolist() == again["id_test"].tolist()
    assert first["id_test"].tolist() != other["id_test"].tolist()


def test_a_class_of_one_row_is_taught():
    labels = np.array([0] * 20 + [1] * 20 + [2])
    for seed in range(5):
        assert 40 in divide(labels, seed=seed)["train"]


def test_held_out_domains_become_ood_sets():
    domains = ["home"] * 70 + ["away"] * 20 + ["far"] * 10
    labels = np.tile([0, 1], 50)
    sets = divide(labels, domains, OodDomains(val=("away",), test=("far",)))
    assert sets["ood_val/away"].tolist() == list(range(70, 90))
    assert sets["ood_test/far"].tolist() == list(range(90, 100))
    assert sum(len(sets[s]) for s in ("train", "id_val", "id_test")) == 70
    with pytest.raises(RequestError, match="no domain 'awya'; did you mean 'away'"):
        divide(labels, domains, OodDomains(val=("awya",)))


def test_groups_never_straddle():
    groups = [f"g{i // 4}" for i in range(100)]
    sets = divide(groups=groups)
    homes = Counter(g for rows in sets.values() for g in {groups[i] for i in rows})
    assert set(homes.values()) == {1}
    assert abs(len(sets["train"]) - 70) <= 4  # a group is not divided, so within one group of plan
    assert abs(len(sets["id_val"]) - 15) <= 4


def test_a_group_seen_in_training_tests_nothing_in_another_domain():
    """Twenty identities, each drawn in three styles: as emoji are."""
    groups = [f"e{i % 20}" for i in range(60)]
    domains = ["noto"] * 20 + ["old"] * 20 + ["line"] * 20
    labels = np.array([(i % 20) % 2 for i in range(60)])
    half = Fractions(train=0.5, id_val=0.2, id_test=0.3)
    sets = divide(labels, domains, OodDomains(val=("old",), test=("line",)), groups, fractions=half)

    def identities(name):
        return {groups[i] for i in sets[name]}

    assert identities("ood_val/old") == identities("id_val")
    assert identities("ood_test/line") == identities("id_test")
    assert not identities("train") & (identities("id_test") | identities("id_val"))
    assert sum(len(rows) for rows in sets.values()) == 20 + len(identities("id_val")) + len(
        identities("id_test")
    )


def test_quotas_are_exact_shares_rounded():
    rng = np.random.default_rng(0)
    counts = np.array([500, 300, 199, 1])
    for n in (10, 77, 400, 1000):
        got = quotas(counts, n, rng, cover=False)
        assert got.sum() == n
        assert np.abs(got - counts * n / 1000).max() < 1
        covered = quotas(counts, n, rng)
        assert covered.sum() == n
        assert (covered > 0).all()
        assert (covered <= counts).all()


def test_limits_are_stratified_and_independent():
    labels = np.array([0, 0, 0, 1] * 25)
    sets = {"train": np.arange(60), "id_test": np.arange(60, 80), "ood_test/x": np.arange(80, 100)}
    cut = limited(sets, labels, {"train": 20, "ood_test": 8}, 0)
    assert np.bincount(labels[cut["train"]]).tolist() == [15, 5]
    assert np.bincount(labels[cut["ood_test/x"]]).tolist() == [6, 2]
    assert len(cut["id_test"]) == 20
    assert set(cut["train"]) <= set(sets["train"])
    # A limit on another set changes nothing here; another seed does.
    alone = limited(sets, labels, {"train": 20}, 0)["train"]
    assert alone.tolist() == cut["train"].tolist()
    assert alone.tolist() != limited(sets, labels, {"train": 20}, 1)["train"].tolist()


def test_a_set_by_its_full_name_goes_first():
    sets = {"train": np.arange(4), "ood_test/x": np.arange(4, 12), "ood_test/y": np.arange(12, 20)}
    cut = limited(sets, np.tile([0, 1], 10), {"ood_test": 4, "ood_test/y": None}, 0)
    assert [len(rows) for rows in cut.values()] == [4, 4, 8]
    with pytest.raises(RequestError, match="no set 'ood_test/z'"):
        limited(sets, np.tile([0, 1], 10), {"ood_test/z": 4}, 0)
    with pytest.raises(RequestError, match="at least one row for each of 2 classes"):
        limited(sets, np.tile([0, 1], 10), {"train": 1}, 0)


def test_stratified_draws_without_replacement_and_all_when_asked_for_more():
    labels = np.tile([0, 1, 2], 10)
    drawn = stratified(labels, 7, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 7
    assert drawn.tolist() == sorted(drawn.tolist())
    assert stratified(labels, 99, np.random.default_rng(0)).tolist() == list(range(30))
