"""Models side by side: numbers against plain sums, files that agree, names that differ."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tether
from project import make_project
from tether.cli import main
from tether.cli_evaluate import split
from tether.errors import RequestError
from tether.report.robustness import robustness_table
from tether.report.robustness_files import lines, robustness_markdown, write_robustness
from tether.report.runs import read_runs
from tether.robustness import labelled


@pytest.fixture(scope="session")
def one_seed(run_folders):
    return read_runs([f for f in run_folders if f.name.endswith("-0")])


def test_means_and_gaps_are_plain_sums(one_seed) -> None:
    table = robustness_table(one_seed)
    row = next(r for r in table.rows if r.name == "finetune")
    run = next(r for r in one_seed if r.method == "finetune")
    value = {(s.key.evalset, s.key.severity): float(s.correct().mean()) for s in run.sets}
    home = value["id_test", 0]
    assert row.id_accuracy.value == home
    assert row.means["natural"].accuracy == pytest.approx((value["optdigits", 0] + value["street", 0]) / 2)
    shifted = [value[name, s] for name in ("gaussian_noise", "fog") for s in (1, 3, 5)]
    assert row.means["synthetic"].accuracy == pytest.approx(np.mean(shifted))
    assert row.means["synthetic"].gap == pytest.approx(1 - np.mean(shifted) / home)
    assert row.severities[3].accuracy == pytest.approx((value["gaussian_noise", 3] + value["fog", 3]) / 2)
    gap = row.domains["street"]
    assert gap.value == pytest.approx(1 - value["street", 0] / home)
    assert gap.low < gap.value < gap.high


def test_smaller_models_come_first(one_seed) -> None:
    sizes = [row.parameters for row in robustness_table(one_seed).rows]
    assert sizes == sorted(sizes)


def test_a_shift_of_some_samples_is_set_against_id_on_those(one_seed) -> None:
    from dataclasses import replace

    run = one_seed[0]
    some = [i for i, s in enumerate(run.sets) if s.key.kind == "synthetic"]
    sets = list(run.sets)
    for i in some:
        s = sets[i]
        sets[i] = replace(s, ids=s.ids[:40], labels=s.labels[:40], probabilities=s.probabilities[:40])
    table = robustness_table([replace(run, sets=tuple(sets))])
    home = next(s for s in run.sets if s.key.evalset == "id_test")
    expected = float(home.correct()[:40].mean())
    assert expected != float(home.correct().mean())
    assert table.rows[0].means["synthetic"].home == pytest.approx(expected)
    assert table.rows[0].means["natural"].home == float(home.correct().mean())


def test_files_agree_and_open(one_seed, tmp_path: Path) -> None:
    table = robustness_table(one_seed)
    paths = {p.suffix: p for p in write_robustness(table, tmp_path)}
    with paths[".csv"].open() as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 4 * 8  # models x sets besides ID
    whole = json.loads(paths[".json"].read_text())
    flat = {(m["model"], s["evalset"], s["severity"]): s for m in whole for s in m["sets"]}
    for row in rows:
        same = flat[row["model"], row["evalset"], int(row["severity"])]
        assert float(row["accuracy"]) == same["accuracy"]["value"]
        assert float(row["gap"]) == same["gap"]
        assert float(row["gap"]) == pytest.approx(1 - float(row["accuracy"]) / float(row["id_accuracy"]))
    text = ET.parse(paths[".svg"]).getroot()
    assert text.tag.endswith("svg")
    with Image.open(paths[".png"]) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 20  # something is drawn
    again = write_robustness(table, tmp_path / "again")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths.values()]


def test_the_markdown_has_both_performances_beside_every_gap(one_seed) -> None:
    table = robustness_table(one_seed)
    text = robustness_markdown(table)
    assert text.splitlines()[0].startswith("| model | parameters | ID | optdigits | street | natural mean")
    assert len(lines(table)) == 4
    assert all(cell.endswith(")") for cell in lines(table)[0][3:])


def test_names_are_short_and_different() -> None:
    assert list(labelled(["minilm-l6", "runs/digits-lora_s0/model", {"name": "clip", "head": "probe"}])) == [
        "minilm-l6", "digits-lora_s0", "clip-probe",
    ]  # fmt: skip
    assert list(labelled(["a/x", "b/x"])) == ["a-x", "b-x"]
    assert list(labelled(["p/a/x", "q/a/x"])) == ["a-x", "a-x-2"]
    with pytest.raises(RequestError, match="each model once"):
        labelled(["x", {"name": "x"}])


def test_the_command_line_is_taken_apart() -> None:
    models, config, changes = split(
        ["a", "runs/x=1/y", "{name: b, head: probe}", "c.yaml", "evaluate.limit=5"]
    )
    assert models == ["a", "runs/x=1/y", {"name": "b", "head": "probe"}]
    assert (config, changes) == ("c.yaml", ["evaluate.limit=5"])
    with pytest.raises(RequestError, match="models and then a config"):
        split(["sentiment", "seed=1"])
    with pytest.raises(RequestError, match="with a name"):
        split(["{head: probe}", "sentiment"])


def test_several_models_give_a_table_a_failed_one_is_said_and_all_are_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_project(tmp_path)
    run = tether.train(str(config), method="finetune")
    words = ["evaluate", str(tmp_path / "bert"), str(run.folder), str(tmp_path / "missing"), str(config)]
    options = ["--severities", "1,3", "--limit", "8", "-o", str(tmp_path / "out")]
    assert main([*words, *options]) == 1
    said = capsys.readouterr()
    assert "missing failed" in said.err
    rows = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert {r["model"] for r in rows} == {"bert", "run"}
    tuned = next(r for r in rows if r["model"] == "run")
    assert tuned["id_accuracy"]["value"] == run.summary["id_accuracy"]
    assert [(s["severity"], s["n"]) for s in tuned["sets"] if s["kind"] == "synthetic"] == [(1, 8), (3, 8)]
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("summary.json")}
    assert len(stamps) == 2
    assert main([*words[:3], words[4], *options]) == 0
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps


def test_a_wrong_option_of_a_model_is_said_before_anything_runs(tmp_path: Path) -> None:
    config = make_project(tmp_path)
    with pytest.raises(RequestError, match="haed"):
        tether.evaluate_models(
            [str(tmp_path / "bert"), {"name": "x", "haed": "probe"}], str(config), output=str(tmp_path / "o")
        )
    assert not (tmp_path / "o").exists()


def test_no_model_at_all_is_an_error_with_every_reason(tmp_path: Path) -> None:
    config = make_project(tmp_path)
    with pytest.raises(RequestError, match="no model could be evaluated"):
        tether.evaluate_models([str(tmp_path / "a"), str(tmp_path / "b")], str(config))


def test_one_model_read_in_two_ways_is_two_models(tmp_path: Path) -> None:
    config, bert = make_project(tmp_path), str(tmp_path / "bert")
    found = tether.evaluate_models(
        [bert, {"name": bert, "pooling": "cls"}], str(config), output=str(tmp_path / "o")
    )
    assert {row.name for row in found.table.rows} == {"bert", "bert-cls"}
    summary = json.loads((tmp_path / "o" / "bert-cls" / "summary.json").read_text())
    assert summary["latency_seconds"] > 0
    assert summary["evaluate_seconds"] > 0
    assert "train_step_flops" in summary
    assert "inference_flops" in (tmp_path / "o" / "efficiency.csv").read_text()
