"""Teachers' clean outputs computed once: the same losses and weights as running them at every step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tether import tune
from tether.batch import Batch, Output
from tether.methods import Initial, Method
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.objective import activation, ce, features, kd, robust
from tether.objective.forwards import CLEAN
from tether.objective.plan import Plan, teacher_key
from tether.teachers.initial import initial_teacher
from tether.training import Engine, TrainConfig, fit, frozen_runner
from tether.training.kept import keep
from tether.training.recall import recalled
from tiny import ListExamples, darker, fixed, tiny_batch, tiny_bert, tiny_model


def texts(n: int) -> Batch:
    words = ["good", "bad", "fine", "poor", "film", "day"]
    x = tuple(" ".join(words[(i + k) % 6] for k in range(1 + i % 7)) for i in range(n))
    return Batch(x, torch.arange(n) % 2, torch.arange(n) + 100)


def text_model(folder: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(tiny_bert(folder / "bert"))))
    network = fixed(loaded.backbone.network)
    for name, p in network.named_parameters():
        if "LayerNorm.weight" in name:
            p.data.fill_(1.0)
    return Model(loaded.backbone, {"main": fixed(LinearHead(16, 2), seed=1)}, ("no", "yes"))


def shorter(batch: Batch, student, teachers, draws) -> Batch:
    """A text view whose longest is not the clean batch's."""
    assert isinstance(batch.x, tuple)
    return Batch(tuple(t.split()[0] for t in batch.x), batch.y, batch.ids, batch.group)


KINDS = {
    "picture": (lambda _: tiny_model(), lambda: tiny_batch(40), darker),
    "text": (text_model, lambda: texts(40), shorter),
}


def train(folder: Path, kind: str, cache_mb: int):
    make, data, view = KINDS[kind]
    method = Method(
        tuning=tune.lora(rank=2),
        terms=(ce(0.5), kd("task", 0.5), robust("gated"), features(0.3), activation(0.3)),
        views={"shifted": view},
        teachers={"initial": Initial()},
    )
    torch.manual_seed(0)
    model, other = make(folder), make(folder / "other")
    with torch.no_grad():
        other.heads["main"].weight.mul_(-1.5)
    groups = method.tuning.apply(model)
    calls: list[int] = []
    task = frozen_runner(other)

    def counted(batch: Batch, hidden=()) -> Output:
        calls.append(len(batch))
        return task(batch, hidden)

    teachers = {"initial": initial_teacher(model, method.tuning), "task": counted}
    recipe = TrainConfig(steps=10, batch_size=16, lr=5e-3, cache_mb=cache_mb)
    fit(
        model,
        method,
        groups,
        ListExamples(data()),
        teachers,
        recipe,
        Engine("fp32"),
        3,
        folder / "run",
        "f",
        kind,
    )
    log = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    weights = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    return log, weights, sum(calls)


@pytest.mark.parametrize("kind", KINDS)
def test_recalling_changes_no_loss_and_no_weight(kind: str, tmp_path: Path) -> None:
    plain, before, run = train(tmp_path / "plain", kind, 0)
    kept, after, rerun = train(tmp_path / "kept", kind, 64)
    for a, b in zip(plain, kept, strict=True):
        assert b["terms"] == pytest.approx(a["terms"], rel=1e-5, abs=1e-5)
    for name, value in before.items():
        assert torch.allclose(value, after[name], atol=1e-5), name
    # 16 samples to learn what is asked for, then at every step, or once each of 40.
    assert (run, rerun) == (16 + 160, 16 + 40)


def filled(budget: int, hidden=(0, 1)):
    model = tiny_model()
    examples = ListExamples(tiny_batch(40))
    plan = Plan({teacher_key("t"): {CLEAN: set(hidden)}})
    found = recalled(plan, {"t": frozen_runner(model)}, examples, Engine("fp32"), budget)
    return model, examples, found


def test_outputs_belong_to_their_ids_in_any_company() -> None:
    model, examples, found = filled(2**20)
    rows = [31, 4, 4, 17]
    batch = examples.batch(rows)
    got, want = found["t"](batch.ids), model.eval()(batch, (0, 1))
    assert torch.allclose(got.logits["main"], want.logits["main"], atol=1e-6)
    assert torch.allclose(got.features, want.features, atol=1e-6)
    for block in (0, 1):
        assert torch.allclose(got.hidden[block], want.hidden[block], atol=1e-6)


def test_a_short_budget_holds_blocks_in_half_precision() -> None:
    model, examples, found = filled(2**20)
    whole = sum(t.numel() * 4 for t in found["t"].blocks.values())
    model, examples, found = filled(int(0.8 * whole))
    batch = examples.batch([3, 8])
    got, want = found["t"](batch.ids), model.eval()(batch, (0, 1))
    for block in (0, 1):
        assert found["t"].blocks[block].dtype == torch.float16
        assert torch.allclose(got.hidden[block], want.hidden[block], rtol=1e-3, atol=1e-4)


def test_a_small_budget_leaves_out_the_blocks_and_a_smaller_one_everything() -> None:
    _, _, found = filled(2000)
    assert found["t"].answers(())
    assert not found["t"].answers((0,))
    assert filled(200)[2] == {}
    assert filled(0)[2] == {}


def test_a_run_of_less_than_two_epochs_fills_nothing() -> None:
    model, examples = tiny_model(), ListExamples(tiny_batch(40))
    plan = Plan({teacher_key("t"): {CLEAN: {0}}})

    def kept(steps: int, cache_mb: int = 1):
        recipe = TrainConfig(steps=steps, batch_size=16, cache_mb=cache_mb)
        return keep(plan, model, {"t": frozen_runner(model)}, examples, recipe, Engine("fp32")).teachers

    assert np.ceil(2 * 40 / 16) == 5
    assert (kept(4), kept(5, 0)) == ({}, {})
    assert list(kept(5)) == ["t"]
