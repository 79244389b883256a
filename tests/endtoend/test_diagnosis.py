from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import all_rows, make_project, write_table
from tether.cli import main
from tether.doctor import examine


def test_it_counts_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    config = make_project(tmp_path)
    found = examine(str(config))
    assert not found.leaks
    assert found.steps == 6
    assert found.adapted == 12  # six linear layers in each of two blocks
    assert 0 < found.trained[0] < found.trained[1]
    cost = found.cost
    assert cost is not None
    assert cost.train_seconds == pytest.approx(6 * cost.step_seconds)
    assert cost.teacher_seconds > 0
    assert cost.choose_seconds > 0
    assert cost.seconds == pytest.approx(
        cost.train_seconds + cost.teacher_seconds + cost.choose_seconds + cost.test_seconds
    )
    assert not (tmp_path / "run").exists()


def test_a_method_that_trains_nothing_costs_no_training(tmp_path: Path) -> None:
    found = examine(str(make_project(tmp_path, method="linear_probe")))
    assert found.steps == 0
    assert found.cost is not None
    assert found.cost.train_seconds == 0
    assert found.cost.teacher_seconds == 0


def test_a_test_row_among_the_training_rows_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_project(tmp_path)
    rows = all_rows()
    rows.append({**next(r for r in rows if r["split"] == "train"), "split": "id_test"})
    write_table(tmp_path / "data.csv", rows)
    assert main(["doctor", str(config), "method=lora"]) == 1
    assert "leakage" in capsys.readouterr().out
    assert main(["doctor", str(config), "method=lora", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["leakage"] is True


def test_texts_beyond_the_models_limit_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_project(tmp_path)
    assert main(["doctor", str(config), "method=lora", "--json"]) == 0
    assert sum(json.loads(capsys.readouterr().out)["texts_cut"].values()) == 0
    rows = all_rows()
    rows.append({**rows[0], "split": "train", "text": "good " * 3000})
    write_table(tmp_path / "data.csv", rows)
    main(["doctor", str(config), "method=lora", "--json"])
    assert json.loads(capsys.readouterr().out)["texts_cut"]["train"] == 1
