"""Attacks through the whole line: in training, resumed, and as a stress test of their own kind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from test_own_model import config, make

import tether
from project import make_project
from tether import tune
from tether.errors import Interrupted, RequestError
from tether.methods import Initial, Method
from tether.models import registered
from tether.objective import Term, ce, robust
from tether.shifts import mixture
from tether.supply import seen_in_training
from tether.teachers import bind
from tether.training import Engine, TrainConfig, fit
from tiny import ListExamples, tiny_batch, tiny_model, tiny_texts

SELF = {"name": "adv_divergence", "mode": "self"}


@pytest.fixture
def pictures(tmp_path: Path):
    tether.register_model("mine", make)
    yield tmp_path
    registered._registered.clear()


def accuracies(folder: Path) -> dict[tuple[str, str, int], float]:
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    return {(r["evalset"], r["kind"], r["severity"]): r["value"] for r in rows if r["metric"] == "accuracy"}


def test_rdft_trains_on_adversarial_pictures_and_an_attack_is_a_test_of_its_own(pictures: Path) -> None:
    trained = {
        "name": "rdft",
        "alpha": 1.0,
        "shifts": [{"name": "adv_divergence", "weight": 1}, {"name": "augmix", "weight": 3}],
    }
    with pytest.raises(RequestError, match=r"'adversarial' is in train \(adv_divergence\) and in test"):
        tether.train(config(pictures, method=trained, evaluate={"shifts": [SELF], "severities": [3]}))
    run = tether.train(config(pictures, method=trained))
    assert {"adv_divergence", "augmix"} == set(run.summary["seen_shifts"])
    tested = tether.train(
        config(
            pictures,
            method={"name": "rdft", "alpha": 1.0, "shifts": ["augmix"]},
            evaluate={"shifts": ["contrast", SELF], "severities": [1, 5]},
            output=str(pictures / "tested"),
        )
    )
    found = accuracies(tested.folder)
    assert {key[1] for key in found if key[0] == "adv_divergence"} == {"adversarial"}
    assert found["adv_divergence", "adversarial", 5] <= found["id_test", "id", 0]
    # Kept apart: the synthetic mean is that of `contrast` alone.
    mean = sum(found["contrast", "synthetic", s] for s in (1, 5)) / 2
    assert tested.summary["synthetic_accuracy"] == pytest.approx(mean)


def test_an_attack_without_its_teacher_is_refused_before_training(pictures: Path) -> None:
    for method, evaluate, message in [
        ({"name": "aug_ce", "shifts": ["adv_divergence"]}, {}, "asks the teacher initial, which this method"),
        ("lora", {"shifts": ["adv_divergence"]}, "asks the teachers initial, which only training has"),
    ]:
        with pytest.raises(RequestError, match=message):
            tether.train(config(pictures, method=method, evaluate=evaluate))
    assert not (pictures / "run").exists()
    alone = {"name": "aug_ce", "shifts": [{**SELF, "steps": 1}]}
    assert tether.train(config(pictures, method=alone)).summary["steps"] == 4


def test_too_large_a_budget_is_said_at_the_start(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for eps, said in [(0.9, True), (1e-4, False)]:
        method = {"name": "rdft", "alpha": 1.0, "shifts": [{"name": "adv_divergence", "eps": eps}]}
        tether.train(config(pictures, method=method, output=str(pictures / f"{eps}")))
        assert ("alone lowers the initial model's" in " ".join(capsys.readouterr().err.split())) is said


@pytest.mark.parametrize(
    "shifts",
    [
        ["word_swap", {"name": "adv_substitution", "weight": 2}],
        ["word_swap", {"name": "adv_embedding", "weight": 2}],
        ["adv_substitution", "adv_embedding"],
    ],
)
def test_rdft_trains_on_adversarial_texts_and_repeats(tmp_path: Path, shifts: list) -> None:
    method = {"name": "rdft", "alpha": 1.0, "target": "shifted", "shifts": shifts, "mu": None}
    method |= {"start": "probe", "shifted_fraction": 1.0}  # the initial model itself: its loss is 0
    path = make_project(tmp_path, method=method)
    a, b = (tether.train(str(path), output=str(tmp_path / name)) for name in "ab")
    rows = [(r.folder / "log.jsonl").read_text() for r in (a, b)]
    assert rows[0] == rows[1]
    losses = [json.loads(line)["terms"]["robust"] for line in rows[0].splitlines()]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert losses[-1] > 0


@pytest.mark.parametrize("name", ["adv_substitution", "adv_embedding"])
def test_text_attacks_as_stress_tests(tmp_path: Path, name: str) -> None:
    path = make_project(tmp_path, evaluate={"shifts": [{"name": name, "mode": "self"}], "severities": [5]})
    run = tether.train(str(path), method="lora")
    assert (name, "adversarial", 5) in accuracies(run.folder)
    shown = json.loads((run.folder / "samples.json").read_text())
    assert all(s["text"] for s in shown if s["evalset"] == name)


def test_embedding_attacks_need_a_student_whose_embeddings_stay(tmp_path: Path) -> None:
    data = SimpleNamespace(train=ListExamples(tiny_texts(4)))

    def method(spec: object, tuning: tune.Tuning) -> Method:
        return Method(tuning, (ce(), robust()), {"shifted": mixture([spec])}, {"initial": Initial()})

    for spec in ("adv_embedding", "adv_substitution", {"name": "adv_embedding", "mode": "self"}):
        with pytest.raises(RequestError, match="must share"):
            seen_in_training(method(spec, tune.full()), data)
        assert seen_in_training(method(spec, tune.lora()), data)
    anchored = {"name": "adv_substitution", "mode": "anchor"}
    assert seen_in_training(method(anchored, tune.full()), data)


def train(folder: Path, *terms: Term) -> dict[str, torch.Tensor]:
    method = Method(
        tuning=tune.lora(rank=2),
        terms=(ce(), robust("gated"), *terms),
        views={"shifted": mixture([{"name": "adv_divergence", "kappa": 3e-4}, "tone"])},
        teachers={"initial": Initial()},
    )
    torch.manual_seed(0)
    model = tiny_model()
    groups = method.tuning.apply(model)
    teachers = {n: t.run for n, t in bind(method, model, {}).items()}
    recipe = TrainConfig(steps=12, batch_size=16, checkpoint_every=5)
    fit(
        model, method, groups, ListExamples(tiny_batch(40)), teachers, recipe, Engine("fp32"), 3, folder, "f",
        "tiny",
    )  # fmt: skip
    return load_file(folder / "checkpoints" / "last.safetensors")


def test_a_resumed_run_with_attacks_ends_at_the_same_weights(tmp_path: Path) -> None:
    def stop_at_7(f):
        if f._draws.step == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return f.student().logits["main"].sum(-1) * 0.0

    whole = train(tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(tmp_path / "cut", Term("watch", stop_at_7))
    resumed = train(tmp_path / "cut")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(v, resumed[k]) for k, v in whole.items())
