import json
import shutil

import numpy as np
import pytest
import run_folder

from tether.errors import RequestError
from tether.report.runs import check_comparable, find_runs, read_run, read_runs
from tether.report.seen import seen_shifts


@pytest.fixture
def folder(run_folders, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(run_folders[0], tmp_path / "run")


def test_reads_what_was_written(run_folders, runs):
    run = runs[0]
    assert (run.method, run.seed) == ("linear_probe", 0)
    assert run.classes == tuple(run_folder.CLASSES)
    assert run.config["method"]["name"] == "linear_probe"
    assert run.problems == ()
    assert len(run.results) == len(run_folder.SETS)
    assert len(run.log) == 300
    columns = run_folder.predictions("linear_probe", 0)
    by_key = {(s.key.evalset, s.key.severity): s for s in run.sets}
    for name, kind, severity in run_folder.SETS:
        rows = [
            i
            for i, (e, s) in enumerate(zip(columns["evalset"], columns["severity"], strict=True))
            if (e, s) == (name, severity)
        ]
        rows.sort(key=lambda i: columns["id"][i])
        mine = by_key[name, severity]
        assert mine.key.kind == kind
        assert mine.ids.tolist() == [columns["id"][i] for i in rows]
        assert mine.labels.tolist() == [columns["label"][i] for i in rows]
        np.testing.assert_allclose(mine.probabilities, [columns["probabilities"][i] for i in rows], rtol=1e-6)


def test_predictions_agree_with_the_results_file(runs):
    written = {(r.evalset, r.severity): r.value for r in runs[3].results}
    for s in runs[3].sets:
        assert s.correct().mean() == pytest.approx(written[s.key.evalset, s.key.severity])


def test_a_results_line_cut_in_the_middle_is_left_out_and_told(folder):
    path = folder / "results.jsonl"
    text = path.read_text()
    path.write_text(text[:-40])
    run = read_run(folder)
    assert len(run.results) == len(run_folder.SETS) - 1
    assert any("results.jsonl" in p and f"line {len(run_folder.SETS)}" in p for p in run.problems)


def test_a_results_line_without_a_value_is_left_out(folder):
    with (folder / "results.jsonl").open("a") as f:
        f.write(json.dumps({"evalset": "x", "kind": "id", "severity": 0, "metric": "accuracy"}) + "\n")
    run = read_run(folder)
    assert len(run.results) == len(run_folder.SETS)
    assert any("'value'" in p for p in run.problems)


@pytest.mark.parametrize("name", ["summary.json", "results.jsonl", "predictions.parquet"])
def test_a_needed_file_that_is_missing_is_an_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(RequestError, match=name):
        read_run(folder)


@pytest.mark.parametrize("name", ["summary.json", "predictions.parquet"])
def test_a_needed_file_that_is_cut_off_is_an_error(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RequestError, match=name):
        read_run(folder)


@pytest.mark.parametrize("name", ["classes.json", "config.yaml", "log.jsonl"])
def test_an_optional_file_that_is_missing_is_a_problem(folder, name):
    (folder / name).unlink()
    run = read_run(folder)
    assert any(name in p for p in run.problems)
    assert len(run.classes) == 3


def test_merge_and_samples_may_be_absent_without_a_word(folder):
    (folder / "samples.json").unlink()
    run = read_run(folder)
    assert (run.merge, run.samples, run.problems) == ((), (), ())


def test_unlabelled_examples_are_left_out_and_told(folder):
    columns = run_folder.predictions("rdft", 0)
    columns["label"][:5] = [-100] * 5
    run_folder.write_parquet(folder / "predictions.parquet", columns)
    run = read_run(folder)
    assert sum(len(s.labels) for s in run.sets) == len(columns["label"]) - 5
    assert any("5 examples without a label" in p for p in run.problems)


def test_find_runs(run_folders, tmp_path):
    assert find_runs(run_folders[0].parent) == sorted(run_folders)
    assert find_runs(run_folders[0]) == [run_folders[0]]
    with pytest.raises(RequestError, match=r"summary\.json"):
        find_runs(tmp_path)


def test_other_sets_are_refused(run_folders, folder):
    columns = run_folder.predictions("rdft", 0)
    columns["evalset"] = ["elsewhere" if e == "street" else e for e in columns["evalset"]]
    run_folder.write_parquet(folder / "predictions.parquet", columns)
    with pytest.raises(RequestError, match="elsewhere, street"):
        read_runs([run_folders[2], folder])


def test_other_labels_are_refused(run_folders, folder):
    columns = run_folder.predictions("rdft", 0)
    columns["label"][0] = (columns["label"][0] + 1) % 3
    run_folder.write_parquet(folder / "predictions.parquet", columns)
    with pytest.raises(RequestError, match=r"same examples and labels.*id_test"):
        read_runs([run_folders[2], folder])


def test_other_classes_are_refused(run_folders, folder):
    (folder / "classes.json").write_text('["a", "b", "c"]')
    with pytest.raises(RequestError, match="same classes"):
        read_runs([run_folders[2], folder])


def test_the_same_run_twice_is_refused(runs):
    with pytest.raises(RequestError, match="both linear_probe, seed 0"):
        check_comparable([runs[0], read_run(runs[0].folder)])
    with pytest.raises(RequestError, match="at least one run"):
        check_comparable([])


def test_seen_shifts_are_those_of_training_only():
    assert seen_shifts({"method": "finetune", "evaluate": {"shifts": ["fog"]}}) is None
    config = {
        "method": {"name": "x", "shifts": ["fog", {"name": "blur", "p": 1}]},
        "train": {"views": {"noise": {}}},
    }
    assert seen_shifts(config) == {"fog", "blur", "noise"}
    assert seen_shifts({"seen_shifts": []}) == frozenset()
