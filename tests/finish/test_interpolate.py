from __future__ import annotations

import pytest
import torch

from tether import tune
from tether.errors import RequestError
from tether.finish import Scores, choose, interpolate, keep, merge, trained_state
from tether.tune.lora import merge_adapters
from tiny import tiny_batch, tiny_model


def moved(tuning):
    """A model, its trained parameters at step 0, and after some training."""
    torch.manual_seed(0)
    model = tiny_model()
    tuning.apply(model)
    start = trained_state(model)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape, generator=g) * 0.2)
    return model, start, trained_state(model)


@pytest.mark.parametrize("tuning", [tune.lora(rank=2), tune.full()], ids=["lora", "full"])
def test_the_ends_are_the_initial_model_and_the_student(tuning) -> None:
    initial = tiny_model()(tiny_batch()).logits["main"]
    model, start, end = moved(tuning)
    student = model(tiny_batch()).logits["main"]
    interpolate(model, start, end, 0.0)
    torch.testing.assert_close(model(tiny_batch()).logits["main"], initial, rtol=1e-5, atol=1e-5)
    interpolate(model, start, end, 1.0)
    assert torch.equal(model(tiny_batch()).logits["main"], student)


def test_merged_lora_weights_are_linear_in_mu() -> None:
    def weight_at(mu: float) -> torch.Tensor:
        model, start, end = moved(tune.lora(rank=2))
        interpolate(model, start, end, mu)
        merge_adapters(model)
        return model.backbone.network.blocks[1][0].weight.detach()

    w0, w1 = weight_at(0.0), weight_at(1.0)
    for mu in (0.25, 0.5, 0.9):
        torch.testing.assert_close(weight_at(mu), (1 - mu) * w0 + mu * w1, rtol=1e-5, atol=1e-6)


def test_scaling_both_factors_would_not_be_linear() -> None:
    model, _start, end = moved(tune.lora(rank=2))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.copy_(0.5 * end[name])
    merge_adapters(model)
    halved = model.backbone.network.blocks[1][0].weight.detach()
    w0 = tiny_model().backbone.network.blocks[1][0].weight
    reference, start, end = moved(tune.lora(rank=2))
    interpolate(reference, start, end, 0.25)  # mu^2
    merge_adapters(reference)
    torch.testing.assert_close(halved, reference.backbone.network.blocks[1][0].weight, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(halved, w0)


def test_heads_are_interpolated_too() -> None:
    model, start, end = moved(tune.lora(rank=2))
    interpolate(model, start, end, 0.5)
    want = (start["heads.main.weight"] + end["heads.main.weight"]) / 2
    torch.testing.assert_close(model.heads["main"].weight.detach(), want)


def test_the_choice_is_the_best_ood_within_a_point_of_the_best_id() -> None:
    curve = [
        (0.0, Scores(0.80, 0.90)),  # best OOD, but it gives up ID
        (0.5, Scores(0.895, 0.85)),
        (0.75, Scores(0.90, 0.85)),  # a tie on OOD: the larger mu
        (1.0, Scores(0.90, 0.70)),
    ]
    assert choose(curve) == 0.75
    assert choose([(mu, Scores(s.id_val, None)) for mu, s in curve]) == 0.5


def test_auto_sweeps_the_grid_and_leaves_the_chosen_weights() -> None:
    model, start, end = moved(tune.full())
    seen = []

    def judge(m) -> Scores:
        seen.append(m.heads["main"].weight.detach().clone())
        return Scores(0.9, 1.0 - abs(len(seen) - 5) / 100)  # the fifth candidate, mu = 0.2

    finish = merge("auto")
    done = finish.apply(model, start, judge)
    assert len(seen) == finish.judged == 21
    assert done.chosen == pytest.approx(0.2)
    want = torch.lerp(start["heads.main.weight"], end["heads.main.weight"], 0.2)
    torch.testing.assert_close(model.heads["main"].weight.detach(), want)


def test_mu_outside_the_line_is_refused() -> None:
    with pytest.raises(RequestError, match=r"\[0, 1\]"):
        merge(1.5)


def test_keep_changes_nothing() -> None:
    model, start, end = moved(tune.full())
    assert keep.apply(model, start, lambda m: Scores(0, 0)).chosen is None
    assert all(torch.equal(v, end[n]) for n, v in trained_state(model).items())
