"""Distances of weights from their start, against explicit sums and explicit products B A."""

from __future__ import annotations

import pytest
import torch

from tether import tune
from tether.finish import trained_state
from tether.models.model import Model
from tether.models.zero_shot import ZeroShotHead
from tether.objective import StepForwards, evaluate_terms, near_start, small_head
from tether.shifts import Draws
from tiny import TinyImages, tiny_batch, tiny_model


def stirred(tuning: tune.Tuning, seed: int = 0):
    model = tiny_model()
    torch.manual_seed(0)
    tuning.apply(model)
    start = trained_state(model)
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=g) * 0.1)
    return model, start


def values(model, start, *terms):
    f = StepForwards(tiny_batch(), {}, model, {}, Draws(0), (0,), model=model, start=start)
    return evaluate_terms(terms, f)


def test_full_distance_is_the_sum_over_the_backbone_alone() -> None:
    model, start = stirred(tune.full())
    want = 0.0
    for name, p in model.named_parameters():
        if name.startswith("backbone"):
            for now, then in zip(p.flatten().tolist(), start[name].flatten().tolist(), strict=True):
                want += 0.5 * (now - then) ** 2
    got = values(model, start, near_start(1.0)).values["near_start"]
    assert float(got) == pytest.approx(want, rel=1e-5)
    assert want > 0.1


def test_its_gradient_is_the_way_back() -> None:
    model, start = stirred(tune.full())
    values(model, start, near_start(3.0)).loss.backward()
    for name, p in model.named_parameters():
        if name.startswith("backbone"):
            torch.testing.assert_close(p.grad, 3.0 * (p.detach() - start[name]), rtol=1e-5, atol=1e-7)
        else:
            assert p.grad is None


def test_with_lora_it_is_the_norm_of_the_products() -> None:
    from peft.tuners.lora.layer import LoraLayer

    model, start = stirred(tune.lora(rank=3, alpha=5.0))
    layers = [m for m in model.backbone.network.modules() if isinstance(m, LoraLayer)]
    assert {type(m).__name__ for m in layers} == {"Conv2d"}
    deltas = [m.get_delta_weight("default") for m in layers]
    want = 0.5 * sum(float(d.detach().square().sum()) for d in deltas)
    assert want > 0
    total = values(model, start, near_start(1.0))
    assert float(total.values["near_start"]) == pytest.approx(want, rel=1e-5)
    a, b = layers[0].lora_A["default"].weight, layers[0].lora_B["default"].weight
    mine = torch.autograd.grad(total.loss, (a, b), retain_graph=True)
    explicit = torch.autograd.grad(0.5 * sum(d.square().sum() for d in deltas), (a, b))
    torch.testing.assert_close(mine, explicit, rtol=1e-4, atol=1e-6)


def test_linear_adapters_too() -> None:
    network = torch.nn.Module()
    linear = torch.nn.Linear(5, 4)
    network.add_module("blocks", torch.nn.ModuleList([linear]))
    from peft import LoraConfig, get_peft_model

    peft = get_peft_model(network, LoraConfig(r=2, lora_alpha=6, target_modules=["0"]))
    layer = peft.base_model.model.blocks[0]
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_(generator=torch.Generator().manual_seed(1))
    want = float(layer.get_delta_weight("default").detach().square().sum())
    assert float(tune.squared_adapters(peft).detach()) == pytest.approx(want, rel=1e-5)


def test_it_is_zero_at_the_start_with_a_zero_gradient() -> None:
    for tuning in (tune.full(), tune.lora(rank=2)):
        model = tiny_model()
        tuning.apply(model)
        total = values(model, trained_state(model), near_start(1.0))
        assert float(total.loss.detach()) == 0.0
        total.loss.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        assert grads
        assert all(float(g.abs().max()) == 0.0 for g in grads)


def test_the_head_counts_its_matrix_without_bias() -> None:
    model, start = stirred(tune.full())
    got = values(model, start, small_head(1.0)).values["small_head"]
    assert float(got) == pytest.approx(
        0.5 * float(model.heads["main"].weight.square().sum().detach()), rel=1e-6
    )


def test_the_logit_scale_of_a_zero_shot_head_is_no_weight() -> None:
    model = Model(TinyImages(), {"main": ZeroShotHead(torch.eye(3, 8), 4.6)}, ("a", "b", "c"))
    tune.full().apply(model)
    assert float(tune.squared_heads(model).detach()) == pytest.approx(3.0)


def test_a_split_batch_changes_nothing() -> None:
    model, start = stirred(tune.full())
    f = StepForwards(tiny_batch(), {}, model, {}, Draws(0), (0,), model=model, start=start)
    whole = evaluate_terms((near_start(1.0),), f).loss
    halves = sum(evaluate_terms((near_start(1.0),), f, share=0.5).loss for _ in range(2))
    torch.testing.assert_close(whole, halves)


def test_another_term_cannot_ask_for_the_start() -> None:
    model = tiny_model()
    f = StepForwards(tiny_batch(), {}, model, {}, Draws(0), (0,), model=model)
    with pytest.raises(KeyError, match="of="):
        f.weights()
