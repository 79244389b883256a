"""Rewritten labels against a loop; label smoothing against its formula."""

from __future__ import annotations

import math

import pytest
import torch

from tether import methods
from tether.errors import RequestError
from tether.objective import StepForwards, cross_entropy, evaluate_terms, self_distilled
from tether.objective.soft_labels import rewritten
from tether.shifts import Draws
from tether.training import frozen_runner
from tiny import tiny_batch, tiny_model


def test_labels_are_mixed_only_where_the_initial_model_is_right() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    labels = torch.tensor([0, 1, -100])
    got = rewritten(labels, logits, 0.3)
    total = math.e**2 + 1 + math.e
    p0 = [math.e**2 / total, 1 / total, math.e / total]
    assert got[0].tolist() == pytest.approx([0.7 + 0.3 * p0[0], 0.3 * p0[1], 0.3 * p0[2]])
    assert got[1].tolist() == [0.0, 1.0, 0.0]
    assert got[2].tolist() == [0.0, 0.0, 0.0]


def test_the_loss_is_the_cross_entropy_with_them() -> None:
    student, other = tiny_model(), tiny_model()
    with torch.no_grad():
        other.heads["main"].weight.mul_(2.0)
    batch = tiny_batch(9)
    f = StepForwards(batch, {}, student, {"initial": frozen_runner(other)}, Draws(0), (0,))
    got = float(evaluate_terms((self_distilled(0.5),), f).loss.detach())
    want = 0.0
    with torch.no_grad():
        p, p0 = student(batch).logits["main"].softmax(-1), other(batch).logits["main"].softmax(-1)
    hits = 0
    for i in range(9):
        y = int(batch.y[i])
        right = int(p0[i].argmax()) == y
        hits += right
        for c in range(3):
            aim = float(c == y)
            aim = 0.5 * aim + 0.5 * float(p0[i, c]) if right else aim
            want -= aim * math.log(float(p[i, c])) / 9
    assert 0 < hits < 9  # both cases are in it
    assert got == pytest.approx(want, rel=1e-5)


def test_a_share_of_zero_is_plain_cross_entropy() -> None:
    model = tiny_model()
    batch = tiny_batch(9)
    f = StepForwards(batch, {}, model, {"initial": frozen_runner(tiny_model())}, Draws(0), (0,))
    got = evaluate_terms((self_distilled(0.0),), f).loss
    torch.testing.assert_close(got, cross_entropy(f.student().logits["main"], batch.y).mean())


def test_smoothing_is_its_formula_and_leaves_missing_labels_at_zero() -> None:
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 3, -100, 2])
    got = cross_entropy(z, y, 0.1)
    log_p = z.log_softmax(-1)
    for i in (0, 1, 3):
        want = -0.9 * log_p[i, y[i]] - 0.1 * log_p[i].mean()
        assert float(got[i]) == pytest.approx(float(want), rel=1e-5)
    assert float(got[2]) == 0.0


@pytest.mark.parametrize(
    ("name", "option", "value"), [("finetune", "label_smoothing", 1.0), ("sdft", "share", 2.0)]
)
def test_a_share_outside_its_range_is_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(RequestError, match=option):
        methods.build(name, {option: value})
