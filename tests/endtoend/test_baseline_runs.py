"""Baselines that lean on the rest of the line: a trained robust teacher, a text tower that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tether
from project import make_project
from tether.cli import main
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tiny import tiny_texts


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return make_project(tmp_path, train={"steps": 2, "batch_size": 16})


@pytest.mark.parametrize("name", ["single_teacher", "combined_head"])
def test_a_robust_teacher_is_trained_on_the_same_views_and_cached(
    name: str, config: Path, tmp_path: Path
) -> None:
    method = {
        "name": name,
        "fraction": 0.6,
        "shifts": ["word_swap"],
        "severities": [2],
        "teacher_model": None,
    }
    given = {**_mapping(config), "method": method}
    run = tether.train({**given, "output": str(tmp_path / name)})
    assert run.summary["teacher_seconds"] > 0
    assert 0 < run.summary["trainable_parameters"] < run.summary["total_parameters"]
    (kept,) = (tmp_path / "cache" / "teachers").iterdir()
    assert kept.name.startswith("robust_teacher-")
    terms = json.loads((kept / "log.jsonl").read_text().splitlines()[0])["terms"]
    assert set(terms) == {"ce", "ce_shifted"}


def test_a_saved_run_teaches(config: Path, tmp_path: Path) -> None:
    stn = tether.train(str(config), method="lp_ft", output=str(tmp_path / "stn"))
    run = tether.train(
        str(config), ["method=single_teacher", f"method.robust_teacher={stn.folder}"],
        output=str(tmp_path / "student"),
    )  # fmt: skip
    assert run.summary["teacher_seconds"] == 0
    assert not (tmp_path / "cache" / "teachers").exists()


def test_a_teacher_sees_the_datas_own_shifts(config: Path, tmp_path: Path) -> None:
    given = _mapping(config)
    given["data"]["shifts"] = {"train": ["word_dropout"]}
    given["method"] = {"name": "single_teacher", "teacher_model": None}
    run = tether.train({**given, "output": str(tmp_path / "own")})
    assert run.summary["seen_shifts"] == ["word_dropout"]
    first = {p.name for p in (tmp_path / "cache" / "teachers").iterdir()}
    given["data"]["shifts"] = {"train": ["word_swap"]}
    tether.train({**given, "output": str(tmp_path / "other")})
    assert len({p.name for p in (tmp_path / "cache" / "teachers").iterdir()} - first) == 1


def test_what_a_teacher_saw_counts_as_seen(config: Path, tmp_path: Path) -> None:
    given = {**_mapping(config), "output": str(tmp_path / "leaky")}
    given["method"] = {
        "name": "single_teacher", "shifts": ["word_dropout"],
        "robust_teacher": {"name": "aug_ce", "shifts": ["typos"]},
    }  # fmt: skip
    with pytest.raises(RequestError, match="typos"):  # which the stress test uses
        tether.train(given)
    assert not (tmp_path / "leaky").exists()


@pytest.mark.parametrize("method", ["zero_shot", "rdft method.task_teacher=zero_shot"])
def test_zero_shot_refuses_a_model_that_reads_no_names_before_anything_is_written(
    method: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = method.split()
    rest.append("model.pooling=cls")
    assert main(["train", str(config), f"method={first}", *rest, f"output={tmp_path / 'no'}"]) == 2
    assert "needs a model with a text tower" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
    assert main(["doctor", str(config), f"method={first}", *rest]) == 2


def test_a_sentence_encoder_is_its_own_text_tower(config: Path, tmp_path: Path) -> None:
    run = tether.train(str(config), method="zero_shot", output=str(tmp_path / "named"))
    assert run.summary["trainable_parameters"] == 0
    classes = json.loads((run.folder / "classes.json").read_text())
    saved = load_backbone(ModelConfig(name=str(run.folder / "model")))
    assert saved.classes == tuple(classes)
    assert saved.head is not None
    start = load_backbone(ModelConfig(name=str(tmp_path / "bert"), max_length=16))
    assert start.by_name is not None
    texts = tiny_texts(6)
    with torch.no_grad():
        got = saved.head(saved.backbone.encode(texts).features)
        want = start.by_name(classes)(start.backbone.encode(texts).features)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)


def test_doctor_counts_a_soups_ingredients(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", str(config), "method=soup", "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["teacher_seconds"] > cost["train_seconds"]  # three of them


def _mapping(config: Path) -> dict:
    import yaml

    return yaml.safe_load(config.read_text())
