"""An ablation on a tiny project: rows read off the method, equal steps, runs found again, tables written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import make_project
from tether.ablate import ablate
from tether.ablation_rows import config_of, plan_rows
from tether.cli import main
from tether.errors import RequestError
from tether.report.runs import read_run


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path, train={"steps": 3, "batch_size": 16, "lr": 0.01})


def test_rows_are_read_off_the_value_and_equal_ones_run_once(config: Path) -> None:
    plan = plan_rows(str(config))
    rows = {r.name: r for r in plan.rows}
    assert next(iter(rows)) == "full"
    assert {"without ce", "without robust", "without feature", "without rar"} <= set(rows)
    assert rows["without kd_task"].same == ("without teacher task",)
    assert rows["without shift word"].same == ("format alone",)
    assert {"target shifted (as printed)", "student full", "rank 4"} <= set(rows)
    assert "target gated" not in rows  # it is what the method has
    assert rows["lora, as much work"].steps == round(3 * (4.75 + 3) / 2)  # of a quarter shifted
    assert all(config_of(plan.base, r).train.steps == (r.steps or 3) for r in plan.rows)
    assert plan.skipped == {}


def test_any_method_has_rows_and_what_cannot_run_says_why(config: Path) -> None:
    hybrid = {r.name for r in plan_rows(str(config), ["method=hybrid_kd"], ["term"]).rows}
    assert hybrid == {"full", "without ce", "without robust", "without act_l2"}
    plain = plan_rows(str(config), ["method=lora"])
    assert [r.name for r in plain.rows] == ["full", "aug_ce", "wise_ft", "finetune"]
    assert "nothing to train" in plain.skipped["without ce"]
    assert [r.name for r in plan_rows(str(config), ["method=ema"], ["after"]).rows] == [
        "full", "without average",
    ]  # fmt: skip


def test_a_control_gets_the_methods_shifts_and_adapters(config: Path) -> None:
    changed = ["method.rank=2", "method.shifts=[word_swap]", "method.mu=null"]
    plan = plan_rows(str(config), changed, ["control"])
    aug = next(r for r in plan.rows if r.name == "aug_ce")
    assert aug.options["rank"] == 2
    assert aug.options["shifts"] == ["word_swap"]


def test_wrong_requests(config: Path) -> None:
    with pytest.raises(RequestError, match="no row is called 'withuot"):
        plan_rows(str(config), [], ["withuot*"])
    with pytest.raises(RequestError, match="whole method"):
        plan_rows(str(config), ["without=[finish]"])
    with pytest.raises(RequestError, match="at least one seed"):
        ablate(str(config), seeds=[])


def test_an_ablation_runs_resumes_and_writes_its_tables(config: Path, tmp_path: Path) -> None:
    wanted = ["without robust", "without teacher initial", "without finish", "aug_ce"]
    done = ablate(str(config), rows=wanted, output=str(tmp_path / "grid"))
    assert done.failed == {}
    assert {r.name for r in done.table.rows} == set(wanted)
    runs = {run.method: run for run in done.runs}
    assert {run.number("steps") for run in done.runs} == {3}
    # The parts are really gone: from the losses, from the teachers, from the finish.
    assert set(runs["without robust"].log[0]["terms"]) == {"ce", "kd_task", "feature", "rar"}
    assert set(runs["without teacher initial"].log[0]["terms"]) == {"ce", "kd_task"}
    assert runs["full"].summary["mu"] is not None
    assert runs["without finish"].summary["mu"] is None
    assert runs["aug_ce"].config["method"]["name"] == "aug_ce"
    for name in ("ablation.csv", "ablation.json", "ablation.html", "report.html"):
        assert (done.folder / name).is_file()
    said = json.loads((done.folder / "ablation.json").read_text())
    assert said["rows"][-1]["name"] == "aug_ce"

    stamps = {p: p.stat().st_mtime_ns for p in done.folder.rglob("results.jsonl")}
    again = ablate(str(config), rows=wanted, output=str(tmp_path / "grid"))
    assert {p: p.stat().st_mtime_ns for p in done.folder.rglob("results.jsonl")} == stamps
    assert again.table == done.table


def test_the_command_line(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ablate", str(config), "--dry-run", "--rows", "term,after"]) == 0
    shown = capsys.readouterr().out
    assert "term     without robust" in shown
    assert not (tmp_path / "runs").exists()
    out = tmp_path / "cli"
    code = main(["ablate", str(config), "--rows", "without rar", "--json", "--output", str(out)])
    assert code == 0
    assert [r["name"] for r in json.loads(capsys.readouterr().out)["rows"]] == ["without rar"]
    assert read_run(out / "without-rar_s0").summary["steps"] == 3
    assert main(["ablate", str(config), "--rows", "nothing"]) == 2
    assert main(["ablate", str(config), "--seeds", "few"]) == 2


def test_a_part_left_out_is_a_config_key(config: Path, tmp_path: Path) -> None:
    assert main(["train", str(config), "without=[term.rar, shift.word]", f"output={tmp_path / 'a'}"]) == 0
    run = read_run(tmp_path / "a")
    assert "rar" not in run.log[0]["terms"]
    assert "word_swap" not in run.summary["seen_shifts"]
    assert "punctuation" in run.summary["seen_shifts"]
    assert main(["train", str(config), "without=[term.nothing]", f"output={tmp_path / 'b'}"]) == 2
    assert not (tmp_path / "b").exists()


def test_a_row_that_fails_is_named_and_the_rest_go_on(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tether.run import _trained

    def failing(folder, one, *rest):
        if "term.rar" in one.without:
            raise RequestError("the disk is full")
        return _trained(folder, one, *rest)

    monkeypatch.setattr("tether.run._trained", failing)
    done = ablate(str(config), rows=["without rar", "without finish"], output=str(tmp_path / "grid"))
    assert done.failed == {"without rar, seed 0": "the disk is full"}
    assert [r.name for r in done.table.rows] == ["without finish"]
