import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import run_folder

from tether.errors import RequestError
from tether.report.comparison import compare_runs
from tether.report.names import named_by_difference
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


def changed(folder, **columns):
    """Rewrite the predictions with some columns changed by functions."""
    old = run_folder.predictions("linear_probe", 0)
    run_folder.write_parquet(
        folder / "predictions.parquet", {**old, **{k: f(old[k]) for k, f in columns.items()}}
    )


def said(runs):
    return " | ".join(p for run in runs for p in run.problems)


def test_sets_that_one_run_lacks_are_left_out_of_all(run_folders, folder):
    changed(folder, evalset=lambda names: ["elsewhere" if n == "street" else n for n in names])
    kept = read_runs([run_folders[2], folder])
    assert [len(run.keys) for run in kept] == [len(run_folder.SETS) - 1] * 2
    assert "not all runs share are left out: elsewhere" in said(kept)
    assert "street" in said(kept)


def test_examples_with_another_label_are_left_out_of_all(run_folders, folder):
    changed(folder, label=lambda labels: [(labels[0] + 1) % 3, *labels[1:]])
    kept = read_runs([run_folders[2], folder])
    sizes = {run.folder: {str(s.key): len(s.ids) for s in run.sets} for run in kept}
    assert sizes[folder] == sizes[run_folders[2]]
    assert min(sizes[folder].values()) == run_folder.EXAMPLES - 1
    assert "id_test: 1 of 400 examples are left out" in said(kept)
    check_comparable(kept)


def test_a_run_of_other_data_is_left_out(run_folders, folder):
    changed(folder, label=lambda labels: [(v + 1) % 3 for v in labels])
    kept = read_runs([*run_folders[2:4], folder])
    assert [run.folder for run in kept] == run_folders[2:4]
    assert "left out: it was tested on other ID examples or labels" in said(kept)


def test_of_two_kinds_of_data_the_larger_group_is_kept(run_folders, folder):
    changed(folder, id=lambda ids: [i + 50_000 for i in ids])
    assert folder not in [run.folder for run in read_runs([folder, *run_folders[2:4]])]


@pytest.mark.parametrize("names", [["a", "b", "c"], list(reversed(run_folder.CLASSES))])
def test_a_run_with_other_classes_is_left_out(run_folders, folder, names):
    (folder / "classes.json").write_text(json.dumps(names))
    kept = read_runs([*run_folders[2:4], folder])
    assert [run.folder for run in kept] == run_folders[2:4]
    assert "left out: its classes are" in said(kept)
    assert ("in another order" in said(kept)) == (names[0] != "a")


def test_a_run_without_class_names_takes_the_others(run_folders, folder):
    (folder / "classes.json").unlink()
    kept = read_runs([folder, run_folders[2]])
    assert {run.classes for run in kept} == {tuple(run_folder.CLASSES)}


def test_nan_predictions_are_left_out_of_all_runs(run_folders, folder):
    def broken(rows):
        return [[float("nan")] * 3 if i in (0, 7) else row for i, row in enumerate(rows)]

    changed(folder, probabilities=broken)
    kept = read_runs([run_folders[2], folder])
    assert "2 predictions hold NaN or infinity (id_test), left out" in said(kept)
    first = {str(run.sets[i].key): len(run.sets[i].ids) for run in kept for i in range(len(run.sets))}
    assert first["id_test"] == run_folder.EXAMPLES - 2
    assert np.isfinite(compare_runs(kept, resamples=20).rows[0].gap.value)


def test_a_run_that_cannot_be_read_is_left_out_and_the_rest_compared(run_folders, folder, tmp_path):
    path = folder / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    other = shutil.copytree(run_folders[1], tmp_path / "cut summary")
    (other / "summary.json").write_text('{"method": "rd')
    kept = read_runs([folder, other, *run_folders[2:4]])
    assert [run.folder for run in kept] == run_folders[2:4]
    assert f"{folder}: left out: " in said(kept)
    assert f"{other}: left out: " in said(kept)
    assert compare_runs(kept, resamples=20).problems == kept[0].problems
    with pytest.raises(RequestError, match="none of the runs can be read"):
        read_runs([folder, other])


def test_a_summary_without_a_key_is_helped_by_the_config(folder):
    summary = json.loads((folder / "summary.json").read_text())
    del summary["seed"], summary["train_seconds"]
    (folder / "summary.json").write_text(json.dumps(summary))
    run = read_run(folder)
    assert run.seed == 0
    assert np.isnan(run.number("train_seconds"))
    assert any("'seed' is missing; 0 is taken from config.yaml" in p for p in run.problems)
    (folder / "config.yaml").unlink()
    with pytest.raises(RequestError, match="expected the key 'seed'"):
        read_run(folder)


def test_a_run_with_few_of_the_sets_does_not_shrink_the_others(run_folders, folder):
    old = run_folder.predictions("linear_probe", 0)
    rows = [i for i, name in enumerate(old["evalset"]) if name == "id_test"]
    run_folder.write_parquet(
        folder / "predictions.parquet", {k: [v[i] for i in rows] for k, v in old.items()}
    )
    kept = read_runs([folder, *run_folders[2:4]])
    assert [len(run.keys) for run in kept] == [len(run_folder.SETS)] * 2
    assert "it was tested on 1 of 9 evaluation sets" in said(kept)


def test_runs_of_one_method_are_named_by_what_differs(runs):
    def varied(i, **changes):
        return replace(runs[i], config={**runs[i].config, **changes})

    one = {"name": "rdft", "alpha": 0.5, "mu": "auto"}
    two = {**one, "alpha": 1.0}
    seeds = [varied(6, method=one), varied(7, method=one), varied(6, method=two), varied(7, method=two)]
    assert [run.method for run in named_by_difference([*seeds, runs[0]])] == [
        "rdft(alpha=0.5)", "rdft(alpha=0.5)", "rdft(alpha=1)", "rdft(alpha=1)", "linear_probe",
    ]  # fmt: skip
    # With a usual value among three or more points only what leaves it is said.
    third = varied(6, method={**one, "mu": None})
    names = [run.method for run in named_by_difference([*seeds, third])]
    assert [names[0], names[2], names[4]] == ["rdft", "rdft(alpha=1)", "rdft(mu=null)"]
    # An older run without a key that is new is no other point, nor is another folder.
    old = varied(7, method={"name": "rdft", "alpha": 0.5}, output="elsewhere")
    assert {run.method for run in named_by_difference([seeds[0], old])} == {"rdft"}


def test_the_reference_of_a_grid_is_its_first_point(runs):
    grid = [replace(r, method=f"{r.method}(train.lr_scale=0.5)") for r in runs]
    assert compare_runs(grid, resamples=20).reference == "finetune(train.lr_scale=0.5)"


def test_the_same_point_twice_is_left_out_once(run_folders, tmp_path):
    copy = shutil.copytree(run_folders[0], tmp_path / "copy")
    kept = read_runs([run_folders[0], copy])
    assert [run.folder for run in kept] == [run_folders[0]]
    assert f"{copy}: left out: {run_folders[0]} is linear_probe, seed 0 already" in said(kept)


def test_runs_that_are_not_finished_are_named(run_folders, tmp_path):
    folders = [shutil.copytree(f, tmp_path / f.name) for f in run_folders[:3]]
    (folders[2] / "summary.json").unlink()
    assert said(read_runs(find_runs(tmp_path))) == f"{folders[2]}: left out: it is not finished"
    assert said(read_runs(folders[:1])) == ""  # of one run nobody asks for its neighbours


def test_samples_of_older_runs_and_broken_ones(folder):
    rows = json.loads((folder / "samples.json").read_text())
    good = len(read_run(folder).samples)
    rows[0]["label"] = run_folder.CLASSES[2]
    del rows[1]["severity"]
    (folder / "samples.json").write_text(json.dumps([*rows, "not a row"]))
    run = read_run(folder)
    assert len(run.samples) == good - 1
    assert run.samples[0].label == 2
    assert len([p for p in run.problems if "an example is not whole" in p]) == 2


def test_what_a_comparison_wrote_beside_its_runs_is_said(run_folders, tmp_path):
    folder = shutil.copytree(run_folders[0], tmp_path / "grid" / "linear_probe-0")
    notes = {
        "skipped": {"flyp": "no text tower"},
        "failed": {"linear_probe-0": "finished later", "rdft_s0": "not finite"},
        "notes": ["Steps are matched."],
    }
    (folder.parent / "compare.json").write_text(json.dumps(notes))
    assert read_runs([folder])[0].problems == (
        "skipped: flyp: no text tower", "failed: rdft_s0: not finite", "Steps are matched.",
    )  # fmt: skip
    (folder.parent / "compare.json").write_text('{"skip')
    assert "is not whole JSON" in said(read_runs([folder]))


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
