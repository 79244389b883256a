"""Teachers that did not see what they are asked about, and teachers that stop early (METHODS 1.3)."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tether
from project import make_project
from tether import methods
from tether.batch import Output
from tether.errors import RequestError
from tether.finish import Scores
from tether.methods import Method, Saved, Trained
from tether.objective import ce
from tether.teachers import Making, prepare
from tether.teachers.cross_fit import dispatch, fold_of
from tether.teachers.reference import accuracy
from tether.training import Engine, TrainConfig
from tether.tune import heads
from tiny import ListExamples, tiny_batch, tiny_model, tiny_texts

SEEN: dict[str, list[int]] = {}


def making(batch, name: str = "all", steps: int = 3) -> Making:
    """On the tiny picture model; `made_from` tells which rows a teacher was trained on."""
    examples = ListExamples(batch)
    SEEN[name] = batch.ids.tolist()
    return Making(
        fresh=lambda kind: tiny_model(),
        examples=examples,
        recipe=TrainConfig(steps=steps, batch_size=8, lr=0.1),
        engine=Engine("fp32"),
        seed=1,
        made_from={"data": name},
        judge=lambda model: Scores(0.5, None, 10),
        id_val=ListExamples(tiny_batch(12, seed=5)),
        part=lambda rows, part: making(batch.take(rows), part, steps),
    )


def method(**source) -> Method:
    return Method(tuning=heads(), terms=(ce(),), teachers={"task": Trained("lp_ft", **source)})


def test_folds_are_equal_belong_to_the_sample_and_to_the_seed() -> None:
    ids = torch.arange(103) * 7
    fold = fold_of(ids, 4, seed=0)
    assert sorted(np.bincount(fold).tolist()) == [25, 26, 26, 26]
    order = torch.randperm(103, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(fold_of(ids[order], 4, seed=0), fold[order.numpy()])
    assert (fold_of(ids, 4, seed=1) != fold).any()


def test_each_sample_is_asked_of_the_teacher_that_did_not_see_it() -> None:
    """Second road: each fold's teacher trained alone, its answer on the left-out rows looked up."""
    batch = tiny_batch(30)
    SEEN.clear()
    together = prepare(method(folds=3), making(batch), ("a", "b", "c"))["task"]
    parts = {name: ids for name, ids in SEEN.items() if name != "all"}
    assert len(parts) == 3
    fold = fold_of(batch.ids, 3, seed=1)
    expected = torch.empty(30, 3)
    for k in range(3):
        (name,) = [n for n in parts if f"without-{k}-" in n]
        out = np.flatnonzero(fold == k).tolist()
        assert set(parts[name]) == set(batch.ids.tolist()) - set(batch.ids[out].tolist())
        alone = prepare(
            method(), making(batch.take(np.flatnonzero(fold != k).tolist()), name), ("a", "b", "c")
        )
        assert alone["task"].cached  # one teacher a part, in the cache
        expected[out] = alone["task"].run(batch.take(out), ()).logits["main"]
    torch.testing.assert_close(together.run(batch, ()).logits["main"], expected)
    mixed = [7, 3, 22, 3]
    torch.testing.assert_close(together.run(batch.take(mixed), ()).logits["main"], expected[mixed])
    assert together.confidence == pytest.approx(float(expected.softmax(-1).amax(-1).mean()), rel=1e-5)


def test_dispatch_keeps_rows_in_place_and_answers_for_strangers() -> None:
    def say(value: float):
        def run(batch, hidden=()):
            tag = batch.ids.float()[:, None] + value
            return Output(tag, {"main": tag})

        return run

    run = dispatch([say(0.25), say(0.5)], {0: 1, 1: 0, 2: 1, 7: 1})
    texts = replace(tiny_texts(5), ids=torch.tensor([7, 1, 9, 0, 2]))
    got = run(texts, ()).logits["main"].flatten().tolist()
    assert got == [7.5, 1.25, 9.5, 0.5, 2.5]  # 9 was never trained on: 9 % 2
    with pytest.raises(RequestError, match="not block outputs"):
        run(texts, (0,))


def test_wrong_folds_are_refused() -> None:
    for folds, data in [(1, tiny_batch(8)), (9, tiny_batch(8))]:
        with pytest.raises(RequestError, match="cross_fit_folds"):
            prepare(method(folds=folds), making(data), ("a", "b", "c"))
    with pytest.raises(RequestError, match="2 to 5, got 9"):
        methods.build("rdft", {"cross_fit_folds": 9})
    with pytest.raises(RequestError, match="trained already"):
        methods.build("rdft", {"cross_fit_folds": 2, "task_teacher": "runs/a"})
    with pytest.raises(RequestError, match="below 1"):
        methods.build("rdft", {"task_teacher_smoothing": 1.0})


def test_a_teacher_stops_early_by_id_validation_alone() -> None:
    """Its judge scores ID validation with the model's own accuracy; OOD sets have no say."""
    data = making(tiny_batch(30), steps=200)
    judged = []

    def judge(model):
        judged.append(1)
        return Scores(0.9, 0.1, 10)

    early = prepare(method(patience=2), replace(data, judge=judge), ("a", "b", "c"))["task"]
    plain = prepare(method(), data, ("a", "b", "c"))["task"]
    assert judged == []  # the run's own judge, which sees OOD validation, was never asked
    folder = next(p for p in (Path(os.environ["TETHER_CACHE"]) / "teachers").iterdir()
                  if (p / "validation.jsonl").is_file())  # fmt: skip
    looks = [json.loads(line) for line in (folder / "validation.jsonl").read_text().splitlines()]
    assert all(row["ood_val"] is None for row in looks)
    assert len(looks) <= 10
    best = max(row["id_val"] for row in looks)
    assert accuracy(early.run, data.id_val, data.engine) == pytest.approx(best)
    assert accuracy(plain.run, data.id_val, data.engine) <= best


def test_smoothing_makes_the_teacher_less_sure() -> None:
    sure = [
        prepare(method(options={"label_smoothing": e}), making(tiny_batch(30), steps=150), ("a", "b", "c"))[
            "task"
        ]
        for e in (0.0, 0.5)
    ]
    assert sure[1].confidence < sure[0].confidence - 0.05


def test_rdft_takes_the_options_to_its_teacher() -> None:
    options = {"task_teacher_patience": 3, "task_teacher_smoothing": 0.1, "cross_fit_folds": 2}
    teacher = methods.build("rdft", options).teachers["task"]
    assert teacher == Trained("finetune", {"label_smoothing": 0.1}, patience=3, folds=2)
    assert methods.build("rdft", {"task_teacher": "runs/a"}).teachers["task"] == Saved("runs/a")


def test_a_run_with_cross_fitted_teachers_and_a_reference(tmp_path: Path, capsys) -> None:
    method = {
        "name": "rdft",
        "cross_fit_folds": 2,
        "task_teacher_patience": 3,
        "task_teacher_on_shift": True,
        "controller": "id_floor",
        "controller_reference": "lora",
    }
    path = make_project(tmp_path, method=method)
    run = tether.train(str(path))
    said = " ".join(capsys.readouterr().err.split())
    assert "reference: lora has" in said
    found = sorted(p.name.split("-")[0] for p in (tmp_path / "cache" / "teachers").iterdir())
    assert found == ["finetune", "finetune", "lora"]
    stated = [
        json.loads((p / "teacher.json").read_text()) for p in (tmp_path / "cache" / "teachers").iterdir()
    ]
    assert run.summary["teacher_seconds"] == pytest.approx(sum(t["train_seconds"] for t in stated))
    rows = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert {"kd_task", "kd_task_shifted"} <= rows[0]["terms"].keys()
    # The floor is the reference's: the same training by itself has that ID validation.
    alone = tether.train(str(path), method="lora", output=str(tmp_path / "alone"))
    assert f"{alone.summary['id_val_accuracy']:.4f} on ID validation" in said
    tether.train(str(path), output=str(tmp_path / "again"))
    assert "reference: lora found in the cache" in " ".join(capsys.readouterr().err.split()).replace(
        "reference teacher", "reference"
    )


def test_a_reference_needs_a_controller_that_holds_one() -> None:
    assert methods.build("rdft", {"controller": "id_floor"}).reference is None
    built = methods.build("rdft", {"controller": "id_floor", "controller_reference": "lora", "rank": 4})
    assert built.reference == Trained("lora", {"rank": 4, "lora_alpha": 16.0})
    fixed = methods.build("rdft", {"controller": "id_floor", "controller_reference": 0.9})
    assert fixed.reference is None
    with pytest.raises(RequestError, match="only id_floor has one"):
        methods.build("rdft", {"controller": "primal_dual", "controller_reference": "lora"})
    with pytest.raises(RequestError, match="up to 1, got 90"):
        methods.build("rdft", {"controller": "id_floor", "controller_reference": 90.0})
