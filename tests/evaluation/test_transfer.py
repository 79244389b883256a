"""Transfer against scikit-learn and a plain loop, and the command on a tiny run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import tether
from project import all_rows, make_project, write_table
from tether.cli import main
from tether.errors import RequestError
from tether.evaluation.transfer import Features, compared, extract, knn_hits, probe_hits
from tether.models.probe import STRENGTHS
from tether.training import Engine
from tiny import ListExamples, tiny_batch, tiny_model


def blobs(seed: int = 0, spread: float = 1.2) -> Features:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(3, 5)) * 1.5

    def part(n: int) -> tuple[Any, Any]:
        y = np.arange(n) % 3
        return centres[y] + spread * rng.normal(size=(n, 5)), y

    return Features(part(90), part(45), part(60))


def test_the_probe_is_scikit_learn_s_with_the_strength_that_validation_likes() -> None:
    found = blobs()
    mean, std = found.train[0].mean(0), found.train[0].std(0)
    best: tuple[float, Any] | None = None
    for strength in STRENGTHS:
        model = LogisticRegression(C=1 / (90 * strength), max_iter=2000, tol=1e-8)
        model.fit((found.train[0] - mean) / std, found.train[1])
        p = model.predict_proba((found.val[0] - mean) / std)
        loss = -np.log(p[np.arange(45), found.val[1]]).mean()
        if best is None or loss < best[0]:
            best = (loss, model)
    assert best is not None
    expected = best[1].predict((found.test[0] - mean) / std) == found.test[1]
    assert 0.5 < expected.mean() < 1
    assert np.array_equal(probe_hits(found, 3), expected.astype(float))


def test_neighbours_vote_by_cosine_distance_as_a_loop_counts_them() -> None:
    found = blobs(1)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (found.train[0], found.test[0])]
    hits = []
    for row, label in zip(unit[1], found.test[1], strict=True):
        far = 1 - unit[0] @ row
        votes = np.zeros(3)
        for i in np.argsort(far)[:20]:
            votes[found.train[1][i]] += 1 / far[i]
        hits.append(float(votes.argmax() == label))
    assert knn_hits(found).tolist() == hits


def test_the_change_is_paired() -> None:
    before = np.tile([1.0, 0.0, 1.0, 1.0], 50)
    after = before.copy()
    after[1::20] = 1.0  # only better, never worse: no resample says otherwise
    found = compared(before, after)
    assert found.before.value == 0.75
    assert found.change.value == pytest.approx(after.mean() - before.mean())
    assert found.change.low > 0
    assert not compared(before, before).change.excludes_zero


def test_features_are_the_backbone_s_in_order() -> None:
    model = tiny_model()
    batch = tiny_batch(7)
    examples: Any = ListExamples(batch)
    found, labels = extract(model.backbone, examples, Engine("fp32"), 3)
    with torch.no_grad():
        expected = model.backbone.encode(batch).features.double().numpy()
    assert np.allclose(found, expected, atol=1e-6)
    assert labels.tolist() == batch.y.tolist()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TETHER_CACHE", str(folder / "cache"))
        return tether.train(str(make_project(folder)), method="finetune").folder


def other(folder: Path, run: Path, name: str = "other") -> Path:
    """A config of another task on the same words."""
    rows = [{**r, "label": "film" if "film" in r["text"] else "day"} for r in all_rows()]
    write_table(folder / f"{name}.csv", rows)
    text = (run.parent / "config.yaml").read_text().replace("data.csv", f"{name}.csv")
    path = folder / f"{name}.yaml"
    path.write_text(text.replace(str(run.parent / f"{name}.csv"), str(folder / f"{name}.csv")))
    return path


def test_the_command_writes_before_after_and_change(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = other(tmp_path, run)
    assert main(["transfer", str(run), str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["other"]
    kept = json.loads((run / "transfer.json").read_text())
    assert kept["other"] == found
    assert (found["train"], found["test"], found["classes"]) == (64, 24, 2)
    for way in ("probe", "knn"):
        one = found[way]
        assert one["change"]["value"] == pytest.approx(one["after"]["value"] - one["before"]["value"])
        assert one["inside_noise"] == (one["change"]["low"] <= 0 <= one["change"]["high"])
    stamp = (run / "transfer.json").stat().st_mtime_ns
    assert main(["transfer", str(run), str(path)]) == 0  # found, not measured again
    assert (run / "transfer.json").stat().st_mtime_ns == stamp
    assert "linear probe" in capsys.readouterr().out


def test_more_data_join_what_is_there_and_a_limit_is_another_measurement(run: Path, tmp_path: Path) -> None:
    first, second = other(tmp_path, run, "one"), other(tmp_path, run, "two")
    whole = tether.transfer(run, [first])["one"]
    both = tether.transfer(run, [second, first], limit=16)
    assert list(both) == ["two", "one"]
    assert both["one"]["key"] != whole["key"]
    assert both["one"]["test"] == 16
    assert set(json.loads((run / "transfer.json").read_text())) >= {"one", "two"}


def test_an_untuned_run_changes_nothing(run: Path, tmp_path: Path) -> None:
    path = other(tmp_path, run)
    bare = tether.train(str(run.parent / "config.yaml"), method="linear_probe", output=str(tmp_path / "bare"))
    for way in ("probe", "knn"):
        one = tether.transfer(bare.folder, [path])["other"][way]
        assert one["before"] == one["after"]
        assert one["change"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_wrong_requests_say_what_to_do(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="at least one data set"):
        tether.transfer(run, [])
    with pytest.raises(RequestError, match="has none"):
        tether.transfer(tmp_path, ["sentiment"])
    with pytest.raises(RequestError, match="came twice"):
        tether.transfer(run, ["sentiment", "sentiment"])
    with pytest.raises(RequestError, match="limit of 2"):
        tether.transfer(run, ["sentiment"], limit=1)
