"""A run folder's results against its predictions, and older folders."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tether.errors import RequestError
from tether.evaluation.groups import Grouping, Names
from tether.evaluation.measure import SCHEMA, _table
from tether.evaluation.metrics import accuracy
from tether.evaluation.recompute import (
    disagreements,
    grouping_of,
    read_names,
    recompute,
    recompute_breakdown,
    write_names,
)
from tether.evaluation.suite import EvalSet

NAMES = Names(("a", "b", "c"), ("x", "y"), ("p", "q"), temperature=1.7)


@pytest.fixture
def folder(tmp_path):
    """Two sets, plain and overlapping groups, rows of results as `measure` writes them."""
    rng = np.random.default_rng(4)
    columns = {name: [] for name in SCHEMA.names}
    for evalset, kind, severity in (("street", "natural", 0), ("id_test", "id", 0), ("fog", "synthetic", 3)):
        n = 157
        columns["id"] += rng.permutation(n).tolist()
        columns["evalset"] += [evalset] * n
        columns["kind"] += [kind] * n
        columns["severity"] += [severity] * n
        columns["label"] += rng.integers(0, 3, n).tolist()
        columns["probabilities"] += rng.dirichlet(np.ones(3), n).astype(np.float32).tolist()
        columns["group"] += [None if evalset == "street" else int(g) for g in rng.integers(0, 2, n)]
        columns["members"] += [np.flatnonzero(row).tolist() for row in rng.random((n, 2)) < 0.6]
    pq.write_table(pa.table(columns, schema=SCHEMA), tmp_path / "predictions.parquet")
    write_names(tmp_path, NAMES)
    (tmp_path / "classes.json").write_text(json.dumps(NAMES.classes))
    rows = [{"run": "r", "seed": 0, **row} for row in recompute(tmp_path)]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


class Nine:
    """What a table takes of nine examples."""

    ids, labels = np.arange(9), np.zeros(9, int)

    def __init__(self, groups=None, members=None):
        self.groups, self.members = groups, members

    def __len__(self):
        return 9


def test_groups_come_back_from_the_table_that_a_run_writes():
    rng = np.random.default_rng(0)
    codes, members = rng.integers(0, 4, 9), rng.random((9, 3)) < 0.5
    members[4] = False  # in no group, which is not the same as nobody knows
    p = np.full((9, 2), 0.5, np.float32)
    made = grouping_of(_table(EvalSet("a", "id", 0, Nine(codes, members)), p), 3)
    np.testing.assert_array_equal(made.codes, codes)
    np.testing.assert_array_equal(made.members, members)
    bare = grouping_of(_table(EvalSet("a", "id", 0, Nine()), p), 0)
    assert bare == Grouping(None, None)


def test_names_come_back(folder):
    assert read_names(folder) == NAMES


def test_rows_are_in_file_order_and_agree_with_a_plain_reading(folder):
    rows = recompute(folder)
    assert list(dict.fromkeys(r["evalset"] for r in rows)) == ["street", "id_test", "fog"]
    table = pq.read_table(folder / "predictions.parquet").to_pylist()
    mine = [r for r in table if r["evalset"] == "fog"]
    value = next(r["value"] for r in rows if (r["evalset"], r["metric"]) == ("fog", "accuracy"))
    assert value == np.mean([np.argmax(r["probabilities"]) == r["label"] for r in mine])
    assert {r["metric"] for r in rows} >= {"brier", "ece_scaled", "nll_scaled", "worst_group"}


def test_the_breakdown_finds_members_and_groups(folder):
    rows = recompute_breakdown(folder)
    table = pq.read_table(folder / "predictions.parquet").to_pylist()
    mine = [r for r in table if r["evalset"] == "fog" and 1 in r["members"] and r["label"] == 2]
    share = accuracy(np.array([r["probabilities"] for r in mine]), np.array([r["label"] for r in mine]))
    row = next(
        r
        for r in rows
        if (r["evalset"], r["by"], r["name"], r["metric"]) == ("fog", "member", "q, c", "accuracy")
    )
    assert (row["value"], row["n"]) == (share, len(mine))
    assert {r["name"] for r in rows if r["by"] == "group"} == {"x", "y"}
    assert not any(r["evalset"] == "street" and r["by"] == "group" for r in rows)


def test_agreement_is_exact_and_a_changed_digit_is_found(folder):
    assert disagreements(folder) == []
    path = folder / "results.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["value"] = float(np.nextafter(rows[1]["value"], 1))
    rows[4]["n"] += 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = disagreements(folder)
    assert len(said) == 2
    assert said[0].startswith("street 0, balanced_accuracy: value is written as")
    assert "n is written as 158, the predictions give 157" in said[1]


def test_rows_of_a_set_without_predictions_are_told(folder):
    with (folder / "results.jsonl").open("a") as f:
        f.write(json.dumps({"evalset": "rain", "kind": "natural", "severity": 0, "metric": "nll"}) + "\n")
    assert disagreements(folder) == ["rain 0, nll: not in the predictions"]


def test_an_older_folder_without_groups_is_read(folder):
    table = pq.read_table(folder / "predictions.parquet").drop_columns(["group", "members"])
    pq.write_table(table, folder / "predictions.parquet")
    (folder / "evaluation.json").unlink()
    old = [r for r in recompute(folder) if r["metric"] != "brier"]
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert disagreements(folder) == []
    assert "worst_group" not in {r["metric"] for r in old}


def test_what_is_cut_off_is_told(folder):
    path = folder / "results.jsonl"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(RequestError, match=r"results\.jsonl is missing or cut off"):
        disagreements(folder)
    (folder / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(RequestError, match=r"predictions\.parquet"):
        recompute(folder)
