"""Frozen blocks run once for a run: the same losses and weights as running them at every step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_recall import KINDS
from torch import Tensor

from tether import tune
from tether.methods import Method
from tether.objective import ce
from tether.objective.forwards import CLEAN
from tether.objective.plan import STUDENT, Plan
from tether.training import Engine, TrainConfig, fit
from tether.training.frozen import frozen_blocks, frozen_outputs
from tether.training.kept import keep
from tether.tune.top_blocks import top_blocks
from tiny import ListExamples, tiny_batch, tiny_model

TUNINGS = {
    "last block": lambda: top_blocks(1),
    "three sections": lambda: tune.tail(0.6, 0.0, ("combined", "unclean"), "block"),
    "upper adapters": lambda: tune.lora(rank=2, layers="upper"),
    "dropout": lambda: tune.tail(0.6, 0.3, ("combined",), "classifier"),
}


def train(folder: Path, kind: str, tuning: tune.Tuning, cache_mb: int):
    make, data, view = KINDS[kind]
    heads = ("main", "combined") if tuning.name == "tail" else ("main",)
    terms = [ce(view=v, head=h, name=f"{v}_{h}") for h in heads for v in ("clean", "shifted")]
    torch.manual_seed(0)
    model = make(folder)
    method = Method(tuning=tuning, terms=tuple(terms), views={"shifted": view})
    groups = tuning.apply(model)
    fit(
        model, method, groups, ListExamples(data()), {},
        TrainConfig(steps=10, batch_size=16, lr=5e-3, cache_mb=cache_mb), Engine("fp32"), 3,
        folder / "run", "f", kind,
    )  # fmt: skip
    log = [json.loads(line)["terms"] for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
    weights: dict[str, Tensor] = {n: p.detach().clone() for n, p in model.named_parameters()}
    return log, weights


@pytest.mark.parametrize("tuned", TUNINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_keeping_the_frozen_blocks_changes_no_loss_and_no_weight(
    kind: str, tuned: str, tmp_path: Path
) -> None:
    plain, before = train(tmp_path / "plain", kind, TUNINGS[tuned](), 0)
    kept, after = train(tmp_path / "kept", kind, TUNINGS[tuned](), 64)
    for a, b in zip(plain, kept, strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-5)
    for name, value in before.items():
        # Softmax ignores a key's bias, and hardly feels its adapter here: gradients of rounding, which Adam
        # makes as large as any.
        if name.endswith(("key.bias", "key/bias")) or ".key.lora_" in name:
            continue
        assert torch.allclose(value, after[name], atol=1e-5), name


def test_the_frozen_blocks_see_clean_samples_once() -> None:
    model, examples = tiny_model(), ListExamples(tiny_batch(40))
    top_blocks(1).apply(model)
    frozen = frozen_outputs(model, examples, Engine("fp32"), 2**20)
    assert frozen is not None
    below, above = model.backbone.blocks()[0], model.backbone.blocks()[1]
    heard: list[Tensor] = []
    below.forward = _never  # type: ignore[method-assign]
    above.register_forward_hook(lambda _m, _a, out: heard.append(out))
    batch = examples.batch([5, 3])
    with frozen(batch.ids):
        out = model(batch, (0, 1))
    assert len(heard) == 1
    del below.forward
    want = model(batch, (0, 1))
    assert torch.allclose(out.logits["main"], want.logits["main"], atol=1e-6)
    assert torch.allclose(out.hidden[0], want.hidden[0], atol=1e-6)
    assert frozen.answers((0, 1))


def _never(*_args: object) -> Tensor:
    raise AssertionError("a frozen block ran")


@pytest.mark.parametrize(
    ("tuning", "count"),
    [
        (tune.full(), 0), (tune.lora(2), 0), (top_blocks(1), 1), (tune.tail(0.6, 0.1), 1),
        (tune.nothing(), 2),
    ],
)  # fmt: skip
def test_what_lies_below_all_that_trains(tuning: tune.Tuning, count: int) -> None:
    model = tiny_model()
    tuning.apply(model)
    assert frozen_blocks(model) == count


def test_blocks_that_do_not_fit_are_not_kept() -> None:
    model, examples = tiny_model(), ListExamples(tiny_batch(40))
    top_blocks(1).apply(model)
    whole = frozen_outputs(model, examples, Engine("fp32"), 2**20)
    assert whole is not None
    assert frozen_outputs(model, examples, Engine("fp32"), 0.9 * whole.outputs.size) is None


def test_a_method_that_never_looks_at_clean_samples_keeps_nothing() -> None:
    model, examples = tiny_model(), ListExamples(tiny_batch(40))
    top_blocks(1).apply(model)
    recipe = TrainConfig(steps=100, batch_size=16)
    for view, held in (("shifted", False), (CLEAN, True)):
        plan = Plan({STUDENT: {view: set()}})
        assert (keep(plan, model, {}, examples, recipe, Engine("fp32")).prefix is not None) == held


def test_a_loss_on_a_block_below_the_last_frozen_one_runs_everything() -> None:
    model, examples = tiny_model(), ListExamples(tiny_batch(40))
    tune.nothing().apply(model)
    frozen = frozen_outputs(model, examples, Engine("fp32"), 2**20)
    assert frozen is not None
    assert frozen.count == 2
    assert frozen.answers((1,))
    assert not frozen.answers((0, 1))


def test_a_prompt_outside_the_network_leaves_nothing_frozen() -> None:
    model = tiny_model()
    top_blocks(1).apply(model)
    model.register_parameter("prompt", torch.nn.Parameter(torch.zeros(3)))
    assert frozen_blocks(model) == 0
