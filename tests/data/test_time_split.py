import datetime

import numpy as np
import pytest

from tether.data import DataConfig, load_data
from tether.data.config import SplitTime
from tether.data.times import by_time, read_times, seconds
from tether.errors import RequestError

DAY = 86400.0
START = datetime.date(2020, 1, 1)
DAYS = [START + datetime.timedelta(days=i) for i in range(100)]


def load(table, time=None, **keys):
    columns = {
        "text": [f"t{i}" for i in range(100)],
        "label": ["a", "b"] * 50,
        "when": time or [d.isoformat() for d in DAYS],
        "user": keys.pop("user", ["u"] * 100),
    }
    keys = {"source": "table", "text": "text", "label": "label", "time": "when"} | keys
    return load_data(DataConfig.model_validate(keys | {"path": str(table(**columns))}))


def test_train_early_test_late(table):
    bundle = load(table, split_time={"ood_val": "2020-02-20", "ood_test": "2020-03-11"})
    sets = bundle.sets()
    assert sorted(int(i) for name in ("train", "id_val", "id_test") for i in sets[name].ids) == list(
        range(50)
    )
    assert sets["ood_val/from 2020-02-20"].ids.tolist() == list(range(50, 70))
    assert sets["ood_test/from 2020-03-11"].ids.tolist() == list(range(70, 100))
    assert len(bundle.train) > len(bundle.id_val) > 0


def test_every_set_by_time(table):
    moments = {
        "id_val": datetime.date(2020, 1, 21),
        "id_test": "2020-01-31",
        "ood_val": "2020-02-10",
        "ood_test": "2020-03-01",
    }
    bundle = load(table, split_time=moments)
    assert [(e.ids.min(), e.ids.max()) for e in bundle.sets().values()] == [
        (0, 19),
        (20, 29),
        (30, 39),
        (40, 59),
        (60, 99),
    ]


def test_by_quantile(table):
    bundle = load(table, split_time={"ood_val": 0.6, "ood_test": 0.8})
    assert [len(e) for name, e in bundle.sets().items() if name[:3] == "ood"] == [20, 20]
    assert min(bundle.ood_test["from 2020-03-21"].ids) == 80


def test_equal_times_never_lie_in_two_sets():
    times = np.repeat([0.0, DAY, 2 * DAY], [5, 10, 5])
    for share in (0.3, 0.5, 0.7):
        sets = by_time("t", times, SplitTime(ood_test=share), None)
        assert not set(times[sets["train"]]) & set(times[next(r for n, r in sets.items() if n != "train")])


def test_a_group_stays_where_it_began(table):
    users = [f"u{i % 40}" if i < 90 else f"v{i}" for i in range(100)]
    bundle = load(table, split_time={"ood_test": "2020-03-01"}, user=users, group="user")
    sides = {}
    for name, examples in bundle.sets().items():
        for i in examples.ids:
            sides.setdefault(users[i], set()).add(
                {"id": name, "oo": "test"}[name[:2]] if name != "train" else "train"
            )
    assert all(len(side) == 1 for side in sides.values())
    assert bundle.ood_test["from 2020-03-01"].ids.tolist() == list(range(90, 100))
    assert bundle.dropped == 30


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-01-01", 1577836800),
        ("2020-01-01T00:00:00Z", 1577836800),
        ("2020-01-01 01:00:00+01:00", 1577836800),
        ("20200101", 1577836800),
        ("2020", 1577836800),
        (2020, 1577836800),
        (datetime.datetime(2020, 1, 1), 1577836800),
        ("1577836800", 1577836800),
        (1577836800.5, 1577836800.5),
    ],
)
def test_dates_in_many_forms(value, expected):
    assert seconds(value) == expected


@pytest.mark.parametrize("value", ["", None, "soon", "2020-13-01", True, float("nan")])
def test_what_is_no_date_is_named(value):
    with pytest.raises(RequestError, match=r"expected a date in column 'when'.*row 2 has"):
        read_times("t", "when", ["2020-01-01", 2020, value])


@pytest.mark.parametrize(
    ("split", "match"),
    [
        ({"ood_val": "2020-03-01", "ood_test": "2020-02-01"}, "expected ood_val to begin before ood_test"),
        ({"ood_test": "2030-01-01"}, "no row falls into ood_test.*2020-01-01 to 2020-04-09"),
        ({"ood_test": "2019-01-01"}, "no row falls into train"),
        ({"ood_test": "later"}, "expected a date .* got 'later'"),
        ({"ood_test": 2020}, "put a year in quotes"),
    ],
)
def test_moments_that_make_no_split(table, split, match):
    with pytest.raises(RequestError, match=match):
        load(table, split_time=split)


def test_time_and_split_time_go_together(table):
    with pytest.raises(RequestError, match="go together"):
        load(table)
    with pytest.raises(RequestError, match="keep one of the two"):
        load(table, split_time={"ood_test": 0.5}, domain="user", ood_domains={"test": ["u"]})
