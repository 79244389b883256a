"""The straight line on a tiny project: files, determinism, resume, loading without tether, prediction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import tether
from project import make_project
from tether import methods
from tether.cli import main
from tether.errors import RequestError
from tether.evaluation.recompute import disagreements
from tether.report.comparison import compare_runs
from tether.report.page import write_page
from tether.report.runs import find_runs, read_runs


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path)


def test_a_run_leaves_every_file_of_the_contract(config: Path, tmp_path: Path) -> None:
    run = tether.train(str(config))
    names = {p.name for p in run.folder.iterdir()}
    assert names >= {
        "config.yaml", "results.jsonl", "predictions.parquet", "summary.json", "log.jsonl", "model",
        "adapter",
        "checkpoints", "README.md", "classes.json", "data.json", "samples.json", "merge.jsonl",
    }  # fmt: skip
    summary = json.loads((run.folder / "summary.json").read_text())
    assert summary["method"] == "rdft"
    assert 0 <= summary["ood_accuracy"] <= 1
    assert 0 < summary["trainable_parameters"] < summary["total_parameters"]
    assert summary["teacher_seconds"] > 0
    assert summary["choose_seconds"] > 0
    assert summary["seen_shifts"]
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert set(log[0]["terms"]) == {"ce", "kd_task", "robust", "feature", "rar"}
    merge = [json.loads(line) for line in (run.folder / "merge.jsonl").read_text().splitlines()]
    assert len(merge) == 21
    assert sum(row["chosen"] for row in merge) == 1


def test_results_can_be_recomputed_from_predictions(config: Path) -> None:
    run = tether.train(str(config), method="lora")
    table = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    for line in (run.folder / "results.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["metric"] != "accuracy":
            continue
        mine = [r for r in table if r["evalset"] == row["evalset"] and r["severity"] == row["severity"]]
        hits = [int(np.argmax(r["probabilities"]) == r["label"]) for r in mine]
        assert row["n"] == len(mine)
        assert row["value"] == pytest.approx(sum(hits) / len(hits))
        assert row["low"] <= row["value"] <= row["high"]
    assert disagreements(run.folder) == []
    groups = json.loads((run.folder / "evaluation.json").read_text())["groups"]
    assert {groups[r["group"]] for r in table if r["evalset"] == "press"} == {"press"}
    parts = [json.loads(line) for line in (run.folder / "breakdown.jsonl").read_text().splitlines()]
    classes = json.loads((run.folder / "classes.json").read_text())
    assert {row["name"] for row in parts if row["evalset"] == "press"} == set(classes)
    assert {row["severity"] for row in parts} == {0}


def test_the_same_config_and_seed_give_the_same_results_twice(config: Path, tmp_path: Path) -> None:
    a = tether.train(str(config), output=str(tmp_path / "a"))
    b = tether.train(str(config), output=str(tmp_path / "b"))

    def rows(folder: Path) -> list[dict]:
        found = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        return [{k: v for k, v in row.items() if k != "run"} for row in found]

    assert rows(a.folder) == rows(b.folder)
    assert (a.folder / "model" / "model.safetensors").read_bytes() == (
        b.folder / "model" / "model.safetensors"
    ).read_bytes()


def test_a_finished_run_is_found_not_repeated(config: Path) -> None:
    first = tether.train(str(config), method="lora")
    stamp = (first.folder / "results.jsonl").stat().st_mtime_ns
    again = tether.train(str(config), method="lora")
    assert again.summary == first.summary
    assert (again.folder / "results.jsonl").stat().st_mtime_ns == stamp


def test_the_task_teacher_is_reused_and_keyed_by_what_it_was_made_from(config: Path, tmp_path: Path) -> None:
    teachers = tmp_path / "cache" / "teachers"
    tether.train(str(config), output=str(tmp_path / "a"))
    made = {p: (p / "model.safetensors").stat().st_mtime_ns for p in teachers.iterdir()}
    assert len(made) == 1
    tether.train(str(config), ["method.robust_weight=0"], output=str(tmp_path / "b"))
    assert {p: (p / "model.safetensors").stat().st_mtime_ns for p in teachers.iterdir()} == made
    tether.train(str(config), output=str(tmp_path / "c"), seed=1)
    assert len(list(teachers.iterdir())) == 2


LOAD = """
import json, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, texts = sys.argv[1], json.load(sys.stdin)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    coded = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    print(json.dumps(torch.softmax(model(**coded).logits, -1).tolist()))
assert not any(m.startswith("tether") for m in sys.modules)
"""


@pytest.mark.parametrize("method", ["rdft", "finetune"])
def test_the_saved_model_gives_the_recorded_probabilities_without_tether(config: Path, method: str) -> None:
    run = tether.train(str(config), method=method)
    table = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    recorded = {r["id"]: r["probabilities"] for r in table if r["evalset"] == "press"}
    with (config.parent / "data.csv").open() as f:
        lines = [line.rsplit(",", 3)[0].strip('"') for line in f.read().splitlines()[1:]]
    ids = sorted(recorded)
    child = subprocess.run(
        [sys.executable, "-c", LOAD, str(run.folder / "model")],
        input=json.dumps([lines[i] for i in ids]), capture_output=True, text=True, check=True,
    )  # fmt: skip
    np.testing.assert_allclose(json.loads(child.stdout), [recorded[i] for i in ids], atol=2e-5)


def test_predict_gives_the_recorded_labels(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = tether.train(str(config), method="lora")
    (tmp_path / "new.txt").write_text("a good film\nvery poor day\n")
    capsys.readouterr()
    assert main(["predict", str(run.folder), str(tmp_path / "new.txt"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in rows] == ["new.txt:1", "new.txt:2"]
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_evaluate_a_run_gives_its_own_numbers_and_a_bare_encoder_gets_a_probe(
    config: Path, tmp_path: Path
) -> None:
    run = tether.train(str(config), method="lora")
    again = tether.evaluate(str(run.folder), str(config), output=str(tmp_path / "again"))
    for key in ("id_accuracy", "ood_accuracy", "synthetic_accuracy"):
        assert again.summary[key] == pytest.approx(run.summary[key])
    probe = tether.train(str(config), method="linear_probe", output=str(tmp_path / "lp"))
    bare = tether.evaluate(str(config.parent / "bert"), str(config), output=str(tmp_path / "bare"))
    assert bare.summary["id_accuracy"] == pytest.approx(probe.summary["id_accuracy"])


def test_compare_runs_every_method_resumes_and_reports(config: Path, tmp_path: Path) -> None:
    names = [n for n in methods.names() if n in methods.registry.BUILT_IN]
    done = tether.compare(str(config), methods=["all"], seeds=1, output=str(tmp_path / "grid"))
    # A text encoder has no text tower beside it; those that need one say so and are not tried.
    assert done.failed == {}
    towers = {"flyp", "car_ft"}  # a sentence encoder names classes itself, but has no second tower
    assert set(done.skipped) == {*towers, "dad", "dad_lite"}
    assert all("text tower" in done.skipped[name] for name in towers)
    assert "images, got texts" in done.skipped["dad_lite"]
    assert "weights" in done.skipped["dad"]
    for name in done.skipped:
        assert not (tmp_path / "grid" / f"{name.replace('_', '-')}_s0").exists()
        assert any(p.startswith(f"skipped: {name}: ") for p in done.comparison.problems)
    assert {row.method for row in done.comparison.rows} == set(names) - set(done.skipped)
    page = done.report(tmp_path / "report.html")
    assert "<svg" in page.read_text()
    assert 'id="examples"' in page.read_text()  # the run's own samples are readable, classes with names too
    said = [p for run in done.runs for p in run.problems if "log.jsonl" not in p]
    assert [p for p in said if not p.startswith("skipped: ")] == []
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "grid").rglob("results.jsonl")}
    # As an override it names the same folder, so the finished runs are found.
    again = tether.compare(str(config), methods=["all"], seeds=1, overrides=[f"output={tmp_path / 'grid'}"])
    assert again.skipped == done.skipped
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "grid").rglob("results.jsonl")} == stamps
    runs = read_runs(find_runs(tmp_path / "grid"))
    assert write_page(compare_runs(runs, None), runs, tmp_path / "b.html", "t", "c").is_file()


def test_one_failed_method_does_not_stop_the_others(config: Path, tmp_path: Path) -> None:
    done = tether.compare(
        str(config),
        methods=["lora", "rdft"],
        seeds=1,
        overrides=["train.batch_size=4"],
        output=str(tmp_path / "g"),
    )
    assert [row.method for row in done.comparison.rows] == ["lora"]
    assert "at least 16 rows" in done.failed["rdft_s0"]


def test_another_config_in_the_same_folder_is_refused(config: Path) -> None:
    tether.train(str(config), method="lora")
    with pytest.raises(RequestError, match=r"another config.*method"):
        tether.train(str(config), method="lp_ft")


def test_a_run_interrupted_between_training_and_evaluation_goes_on(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tether.run.evaluate_into", cut)
        with pytest.raises(KeyboardInterrupt):
            tether.train(str(config))
    resumed = tether.train(str(config))
    whole = tether.train(str(config), output=str(tmp_path / "whole"))
    for key in ("id_accuracy", "ood_accuracy", "mu", "steps"):
        assert resumed.summary[key] == whole.summary[key]
