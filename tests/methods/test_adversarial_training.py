"""TRADES and VAT: their losses and their attacks a second way, on both modalities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tether
from project import make_project
from tether import methods
from tether.batch import Batch
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.objective import StepForwards, evaluate_terms
from tether.shifts import Draws, either, get
from tether.shifts.adversarial.objective import Goal
from tiny import fixed, tiny_batch, tiny_bert, tiny_model, tiny_texts

DRAWS = Draws(0, 3)


def text_model(folder: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(tiny_bert(folder))))
    for name, p in fixed(loaded.backbone.network).named_parameters():
        if "LayerNorm.weight" in name:
            p.data.fill_(1.0)
    return Model(loaded.backbone, {MAIN: fixed(LinearHead(16, 2), seed=1)}, ("no", "yes")).eval()


def kl(model: Model, clean: Batch, moved: Batch) -> Tensor:
    with torch.no_grad():
        p, q = (model(b).logits[MAIN].softmax(-1) for b in (clean, moved))
    return (p * (p.log() - q.log())).sum(-1)


def forwards(name: str, model: Model, batch: Batch) -> tuple[StepForwards, Any]:
    method = methods.build(name, {})
    return StepForwards(batch, method.views, lambda b, h: model(b, h), {}, DRAWS, (), model=model), method


def test_trades_pictures_are_its_ascent_written_out() -> None:
    model, batch = tiny_model(), tiny_batch(4)
    draws, steps = Draws(5, 2), 4
    attack = get({
        "name": "adv_divergence", "mode": "consistency", "eps": 0.031, "steps": steps, "step_size": 0.007,
        "start": 0.001,
    })  # fmt: skip
    got = attack.at(3)(batch, model, {}, draws).x
    start = draws.spawn("adv_divergence").normal(batch.ids, (3, 8, 8), "start")
    x = (batch.x + 0.001 * start).clamp(0, 1)
    passed, values = [], []
    for k in range(steps + 1):
        leaf = x.clone().requires_grad_(True)
        p = model(batch).logits[MAIN].softmax(-1).detach()
        j = F.kl_div(model(Batch(leaf, batch.y, batch.ids)).logits[MAIN].log_softmax(-1), p, reduction="sum")
        passed.append(x)
        values.append(kl(model, batch, Batch(x, batch.y, batch.ids)))
        if k < steps:
            x = leaf.detach() + 0.007 * torch.autograd.grad(j, leaf)[0].sign()
            x = torch.minimum(torch.maximum(x, batch.x - 0.031), batch.x + 0.031).clamp(0, 1)
    best = torch.stack(values).argmax(0)
    want = torch.stack([passed[k][i] for i, k in enumerate(best.tolist())])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-6)
    assert (kl(model, batch, Batch(got, batch.y, batch.ids)) >= values[0]).all()
    assert values[-1].mean() > 3 * values[0].mean()  # it does climb


@pytest.mark.parametrize(("name", "norm", "eps"), [("trades", "linf", 0.031), ("vat", "l2", 0.5)])
def test_pictures_stay_in_their_ball_and_harm_more_than_noise(name: str, norm: str, eps: float) -> None:
    model, batch = tiny_model(), tiny_batch(8)
    f, _ = forwards(name, model, batch)
    moved = f.batch("adversarial")
    delta = (moved.x - batch.x).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert float(size.max()) <= eps + 1e-6
    assert float(moved.x.min()) >= 0
    assert float(moved.x.max()) <= 1
    noise = torch.randn(delta.shape, generator=torch.Generator().manual_seed(1))
    noise = noise.sign() * size[:, None] if norm == "linf" else noise * (size / noise.norm(dim=1))[:, None]
    noisy = Batch((batch.x + noise.view_as(batch.x)).clamp(0, 1), batch.y, batch.ids)
    assert kl(model, batch, moved).mean() > 2 * kl(model, batch, noisy).mean()


@pytest.mark.parametrize("name", ["trades", "vat"])
def test_texts_move_in_embedding_space_padding_and_special_tokens_aside(name: str, tmp_path: Path) -> None:
    model, batch = text_model(tmp_path / "bert"), tiny_texts(4)
    f, _ = forwards(name, model, batch)
    moved, clean = f.batch("adversarial"), model.backbone.embed(batch)
    assert moved.space == clean.space != "raw"
    delta = (moved.x - clean.x).detach()
    free = model.backbone.tokens(batch.x).free
    assert float(delta[~free].abs().max()) == 0.0
    length = (clean.x * clean.mask[..., None]).flatten(1).norm(dim=1)
    assert (delta.flatten(1).norm(dim=1) <= 0.1 * length + 1e-5).all()
    assert (kl(model, batch, moved) > 1e-5).all()


@pytest.mark.parametrize(("name", "both"), [("trades", True), ("vat", False)])
def test_the_loss_is_the_formula_and_the_target_trains_in_trades_alone(name: str, both: bool) -> None:
    model, batch = tiny_model(), tiny_batch(6)
    f, method = forwards(name, model, batch)
    moved = f.batch("adversarial")
    for p in model.parameters():
        assert p.grad is None  # the ascent asked for the input's gradient alone
    result = evaluate_terms(method.terms, f)
    result.loss.backward()
    got = model.backbone.network.stem.weight.grad.clone()
    model.zero_grad(set_to_none=True)
    clean = model(batch).logits[MAIN]
    p = clean.softmax(-1) if both else clean.softmax(-1).detach()
    q = model(moved).logits[MAIN].softmax(-1)
    want = F.cross_entropy(clean, batch.y) + (p * (p.log() - q.log())).sum(-1).mean()
    torch.testing.assert_close(result.loss, want, rtol=1e-5, atol=1e-6)
    want.backward()
    torch.testing.assert_close(got, model.backbone.network.stem.weight.grad, rtol=1e-4, atol=1e-6)


def test_the_second_term_needs_no_label() -> None:
    model, batch = tiny_model(), tiny_batch(6)
    bare = Batch(batch.x, torch.full_like(batch.y, -100), batch.ids)
    with_labels, without = (
        evaluate_terms((m := forwards("vat", model, b))[1].terms, m[0]).values for b in (batch, bare)
    )
    torch.testing.assert_close(with_labels["consistency"], without["consistency"])
    assert float(without["ce"]) == 0.0
    assert float(without["consistency"]) > 0.0


def test_vat_takes_all_of_eps_along_the_gradient_off_the_picture() -> None:
    model, draws = tiny_model(), Draws(1, 0)
    batch = tiny_batch(3)
    batch = Batch(0.4 + 0.2 * batch.x, batch.y, batch.ids)  # far from 0 and 1, so that nothing is clipped
    attack = get({
        "name": "adv_divergence", "mode": "consistency", "search": "power", "norm": "l2", "eps": 0.5,
        "xi": 0.1,
    })  # fmt: skip
    got = attack.at(3)(batch, model, {}, draws).x
    u = draws.spawn("adv_divergence").normal(batch.ids, (3, 8, 8), "start")
    u = u / u.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    leaf = (batch.x + 0.1 * u).requires_grad_(True)
    p = model(batch).logits[MAIN].softmax(-1).detach()
    j = F.kl_div(model(Batch(leaf, batch.y, batch.ids)).logits[MAIN].log_softmax(-1), p, reduction="sum")
    g = torch.autograd.grad(j, leaf)[0]
    want = batch.x + 0.5 * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_consistency_asks_no_teacher_and_a_view_made_for_either_takes_the_batch_s_kind() -> None:
    assert Goal("consistency").asks == ()
    view = either("tone", "word_swap", severities=(3,))
    assert [s.name for s in view.among("image")] == ["tone"]
    assert view(tiny_batch(4), None, None, DRAWS).x.shape == (4, 3, 8, 8)
    assert isinstance(view(tiny_texts(4), None, None, DRAWS).x, tuple)


@pytest.mark.parametrize("name", ["trades", "vat"])
def test_a_run_knows_that_it_trained_on_attacks(name: str, tmp_path: Path) -> None:
    config = make_project(tmp_path, method=name)
    run = tether.train(str(config), ["train.steps=2"])
    assert run.summary["seen_shifts"] == ["adv_embedding"]
