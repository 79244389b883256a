"""Document 001's activation penalty: its values, its gradient at the start, and what the printed one does."""

from __future__ import annotations

import math

import pytest
import torch

from tether import tune
from tether.objective import StepForwards, act_l2, evaluate_terms
from tether.objective.activation_norm import literal_norm, relative_deviation
from tether.shifts import Draws
from tether.teachers.initial import initial_teacher
from tiny import tiny_batch, tiny_model


def pair(n: int = 5, d: int = 7):
    g = torch.Generator().manual_seed(0)
    t = torch.randn(n, d, generator=g)
    return t + 0.2 * torch.randn(n, d, generator=g), t


def test_it_is_the_smoothed_relative_norm_row_by_row() -> None:
    s, t = pair()
    got = relative_deviation(s, t).tolist()
    for row_s, row_t, value in zip(s.tolist(), t.tolist(), got, strict=True):
        rms = math.sqrt(sum(v * v for v in row_t) / len(row_t))
        eps = 1e-3 * rms * math.sqrt(len(row_t))  # METHODS 2, letter by letter
        far = sum((a - b) ** 2 for a, b in zip(row_s, row_t, strict=True))
        norm = math.sqrt(sum(v * v for v in row_t))
        assert value == pytest.approx((math.sqrt(far + eps**2) - eps) / norm, rel=1e-4)


def test_far_away_it_is_the_relative_distance_and_its_pull_is_constant() -> None:
    t = torch.tensor([[3.0, 4.0]])
    for distance in (1.0, 10.0):
        s = (t + torch.tensor([[distance, 0.0]])).requires_grad_()
        value = relative_deviation(s, t)
        assert float(value.detach()) == pytest.approx(distance / 5, rel=1e-2)
        (grad,) = torch.autograd.grad(value.sum(), s)
        assert float(grad.norm()) == pytest.approx(1 / 5, rel=1e-2)


def test_at_equality_the_smoothed_gradient_is_zero_and_the_printed_one_nan() -> None:
    _, t = pair()
    s = t.clone().requires_grad_()
    value = relative_deviation(s, t).sum()
    (grad,) = torch.autograd.grad(value, s)
    assert float(value.detach()) == 0.0
    assert float(grad.abs().max()) == 0.0
    (printed,) = torch.autograd.grad(literal_norm(s, t), s)
    assert bool(printed.isnan().any())


def test_a_common_scale_changes_nothing_and_a_dead_teacher_stays_finite() -> None:
    s, t = pair()
    torch.testing.assert_close(relative_deviation(10 * s, 10 * t), relative_deviation(s, t))
    dead = torch.zeros(2, 3, requires_grad=True)
    relative_deviation(dead, torch.zeros(2, 3)).sum().backward()
    assert bool(dead.grad.isfinite().all())


def test_the_printed_norm_is_a_sum_over_samples() -> None:
    s, t = pair()
    want = sum(math.dist(a, b) for a, b in zip(s.tolist(), t.tolist(), strict=True))
    assert float(literal_norm(s, t)) == pytest.approx(want, rel=1e-5)
    assert float(literal_norm(torch.cat([s, s]), torch.cat([t, t]))) == pytest.approx(2 * want, rel=1e-5)


def student():
    torch.manual_seed(0)
    model = tiny_model()
    tuning = tune.lora(rank=2)
    tuning.apply(model)
    return model, {"initial": initial_teacher(model, tuning)}


def test_the_term_is_zero_at_step_0_and_a_mean_over_samples_and_layers() -> None:
    model, teachers = student()
    batch = tiny_batch(16)

    def value(term, b):
        return evaluate_terms((term,), StepForwards(b, {}, model, teachers, Draws(0), (0, 1))).loss.detach()

    assert abs(float(value(act_l2(), batch))) < 1e-6
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".lora_B." in name:
                p.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    whole = float(value(act_l2(1.0), batch))
    parts = [float(value(act_l2(1.0), batch.take(range(i, i + 4)))) for i in range(0, 16, 4)]
    assert whole == pytest.approx(sum(parts) / 4, rel=1e-5)
    printed = float(value(act_l2(1.0, literal=True), batch))
    parts = [float(value(act_l2(1.0, literal=True), batch.take(range(i, i + 4)))) for i in range(0, 16, 4)]
    assert printed == pytest.approx(sum(parts), rel=1e-5)  # grows with the batch
