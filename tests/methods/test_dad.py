"""DAD: its two losses by hand, its refusals, its schedule, and its teacher from a folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tether import methods
from tether.errors import RequestError
from tether.methods import Initial, Saved
from tether.objective import StepForwards, cross_entropy, distillation, evaluate_terms
from tether.shifts import Draws, Recipe
from tether.shifts.discrete.adversary import Rising
from tether.training import frozen_runner
from tiny import darker, tiny_batch, tiny_model


def losses(loss: str):
    """The method's loss and its ingredients on one batch, with a teacher that disagrees."""
    method = methods.build("dad_lite", {"loss": loss})
    method = replace(method, views={"shifted": darker})
    model, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        teacher.heads["main"].weight.mul_(-1.5)
    batch = tiny_batch(12)
    f = StepForwards(batch, method.views, model, {"robust": frozen_runner(teacher)}, Draws(0), ())
    total = evaluate_terms(method.terms, f).loss
    ce, kd = [], []
    for x in (batch, darker(batch, None, {}, None)):
        with torch.no_grad():
            s, t = model.eval()(x).logits["main"], teacher.eval()(x).logits["main"]
        ce.append(cross_entropy(s, batch.y).mean())
        kd.append(distillation(s, t, 4.0).mean())  # has its T^2
    return float(total.detach()), ce, kd


def test_three_terms_are_the_printed_sum() -> None:
    total, ce, kd = losses("three_term")
    assert total == pytest.approx(float(ce[0] + 0.5 * kd[0] + 0.5 * kd[1]), rel=1e-5)


def test_joint_is_the_mean_over_both_halves() -> None:
    total, ce, kd = losses("joint")
    halves = [0.75 * c + 0.25 * k for c, k in zip(ce, kd, strict=True)]
    assert total == pytest.approx(float(sum(halves) / 2), rel=1e-5)


def test_dad_wants_a_quantiser_from_outside_and_says_what_else_there_is() -> None:
    with pytest.raises(RequestError, match="dad_lite"):
        methods.build("dad", {})
    (view,) = methods.build("dad", {"weights": "a/vqgan"}).views.values()
    (lite,) = methods.build("dad_lite", {"vq_only": True}).views.values()
    names = [getattr(v, "shifts")[0].name for v in (view, lite)]  # noqa: B009
    assert names == ["dae", "dae_lite_vq_only"]


def test_one_teacher_makes_the_examples_and_teaches() -> None:
    assert methods.build("dad_lite", {}).teachers == {"robust": Initial()}
    method = methods.build("dad_lite", {"robust_teacher": "runs/robust"})
    assert method.teachers == {"robust": Saved("runs/robust")}
    (view,) = method.views.values()
    (shift,) = getattr(view, "shifts")  # noqa: B009
    assert isinstance(shift, Recipe)


def test_the_average_is_kept_only_when_asked_for() -> None:
    assert methods.build("dad_lite", {}).average is None
    assert methods.build("dad_lite", {"ema_decay": 0.99}).average is not None


def test_the_step_size_rises_in_equal_stages_and_stays() -> None:
    rising = Rising(last=0.2, over=100)
    sizes = [rising.size(0.01, rising.level(step)) for step in range(0, 140, 10)]
    assert sizes[:2] == [0.01, 0.01]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 5
    assert sizes[-1] == sizes[8] == pytest.approx(0.2)
    with pytest.raises(RequestError, match="rising_over"):
        methods.build("dad_lite", {"last_step_size": 0.2})
