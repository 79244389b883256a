from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tether import tune
from tether.errors import RequestError
from tether.models.map_head import MapHead, residual_mass
from tether.models.model import Model
from tether.objective import (
    Plan,
    StepForwards,
    Term,
    activation,
    ce,
    cross_entropy,
    distillation,
    evaluate_terms,
    features,
    gate,
    kd,
    numbers,
    robust,
)
from tether.shifts import Draws
from tether.teachers.initial import initial_teacher
from tiny import darker, tiny_batch, tiny_model

RDFT = (ce(0.5), kd("task", 0.5), robust("gated"), features(0.3), activation(0.3))


def forwards(model, teachers, batch=None, plan=None):
    batch = tiny_batch() if batch is None else batch
    return StepForwards(batch, {"shifted": darker}, model, teachers, Draws(0), model.backbone.taps(), plan)


def lora_student():
    torch.manual_seed(0)
    model = tiny_model()
    tuning = tune.lora(rank=2, alpha=4.0)
    tuning.apply(model)
    return model, initial_teacher(model, tuning)


def test_at_step_0_the_three_regularisers_are_zero_with_zero_gradients() -> None:
    model, initial = lora_student()
    terms = (robust("shifted"), robust("clean", name="clean", view="clean"), features(1.0), activation(1.0))
    total = evaluate_terms(terms, forwards(model, {"initial": initial}))
    total.loss.backward()
    for value in total.values.values():
        assert abs(value.item()) < 1e-6
    for parameter in model.parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all()
            assert parameter.grad.abs().max() < 1e-5


def test_a_term_of_weight_0_runs_nothing() -> None:
    model, initial = lora_student()
    asked: list[str] = []

    def watched(batch, hidden=()):
        asked.append("task")
        return initial(batch, hidden)

    evaluate_terms((ce(1.0), kd("task", 0.0)), forwards(model, {"task": watched}))
    assert asked == []
    evaluate_terms((ce(0.5), kd("task", 0.5)), forwards(model, {"task": watched}))
    assert asked == ["task"]


def test_teachers_run_before_the_students_graph_is_held() -> None:
    model, initial = lora_student()
    asked: list[str] = []

    def noting(name, run):
        def noted(batch, hidden=()):
            asked.append(name)
            return run(batch, hidden)

        return noted

    def run(plan):
        asked.clear()
        teachers = {"initial": noting("initial", initial), "task": noting("task", initial)}
        f = StepForwards(
            tiny_batch(), {"shifted": darker}, noting("student", model), teachers, Draws(0),
            model.backbone.taps(), plan,
        )  # fmt: skip
        return evaluate_terms(RDFT, f).loss, f.traced

    as_asked, plan = run(None)
    assert asked[0] == "student"
    planned, _ = run(plan)
    assert asked[-1] == "student"
    assert asked.count("student") == 1
    assert torch.allclose(planned, as_asked, atol=1e-6)


def test_no_teacher_gets_a_gradient() -> None:
    model, initial = lora_student()
    other = tiny_model(("x", "y", "z"))
    for parameter in other.parameters():
        parameter.requires_grad_(True)
    f = forwards(model, {"initial": initial, "task": other})
    evaluate_terms(RDFT, f).loss.backward()
    assert not f.teacher("task").logits["main"].requires_grad
    assert all(p.grad is None for p in other.parameters())
    # of the shared weights, only what the student trains has a gradient
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())


def test_each_forward_runs_once_and_a_plan_joins_the_views() -> None:
    model, initial = lora_student()
    f = forwards(model, {"initial": initial, "task": initial})
    plain = evaluate_terms(RDFT, f)
    calls = model.backbone.calls
    calls.clear()
    planned = evaluate_terms(RDFT, forwards(model, {"initial": initial, "task": initial}, plan=f.traced))
    # task teacher: clean only (16). Student and initial: clean and shifted in one pass (32 each).
    assert sorted(calls) == [16, 32, 32]
    torch.testing.assert_close(planned.loss, plain.loss, rtol=1e-5, atol=1e-6)


def test_an_unplanned_view_still_runs() -> None:
    model, initial = lora_student()
    f = forwards(model, {"initial": initial}, plan=Plan({"student": {"clean": set()}}))
    assert f.student("shifted").features.shape == (16, 8)


def test_gate_keeps_the_shifted_target_only_where_the_decision_held() -> None:
    shifted = torch.tensor([[2.0, 1.0], [2.0, 1.0]])
    clean = torch.tensor([[3.0, 0.0], [0.0, 3.0]])
    assert gate(shifted, clean).tolist() == [[2.0, 1.0], [0.0, 3.0]]


@pytest.mark.parametrize("target", ["shifted", "clean", "gated"])
def test_the_robust_target_is_what_its_name_says(target: str) -> None:
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        teacher.heads["main"].weight.mul_(-1.5)
    f = forwards(student, {"initial": teacher})
    z_clean = f.teacher("initial", "clean").logits["main"]
    z_shifted = f.teacher("initial", "shifted").logits["main"]
    held = [bool(a.argmax() == b.argmax()) for a, b in zip(z_clean, z_shifted, strict=True)]
    aim = {
        "shifted": z_shifted,
        "clean": z_clean,
        "gated": torch.stack([s if h else c for s, c, h in zip(z_shifted, z_clean, held, strict=True)]),
    }[target]
    want = distillation(f.student("shifted").logits["main"], aim, 2.0)
    torch.testing.assert_close(robust(target).loss(f), want)


@pytest.mark.parametrize("target", ["shifted", "clean", "gated"])
def test_a_doubtful_teacher_counts_less(target: str) -> None:
    """A map teacher with residual mass u > 0.5 weighs 1 - u; second road: the head's own numbers."""
    torch.manual_seed(0)
    model = tiny_model()
    classes = len(model.classes)
    member = torch.zeros(classes, classes + 2, dtype=torch.bool)
    member[range(classes), range(classes)] = True  # two source classes belong to none of the task's
    weight = 200 * torch.randn(classes + 2, model.backbone.width)
    middle = model(tiny_batch()).features.mean(0)  # so that samples differ in the classes they come near to
    head = MapHead(weight, -weight @ middle, member)
    other = Model(model.backbone, {"main": head}, model.classes)
    f = forwards(model, {"initial": other})
    got = robust(target).loss(f)
    plain = Model(model.backbone, {"main": head}, model.classes)
    view = "clean" if target == "clean" else "shifted"
    u = residual_mass(plain(f.batch(view)).logits["main"])
    assert ((u > 0.5).any(), (u < 0.5).any()) == (True, True)
    full = robust(target).loss(forwards(model, {"initial": lambda b, h=(): replace(plain(b, h), trust=None)}))
    torch.testing.assert_close(got, full * torch.where(u > 0.5, 1 - u, 1.0))


def test_task_loss_is_alpha_ce_and_the_rest_kd() -> None:
    student, teacher = tiny_model(), tiny_model()
    with torch.no_grad():
        teacher.heads["main"].bias.add_(torch.tensor([1.0, 0.0, -1.0]))
    f = forwards(student, {"task": teacher})
    z, y = f.student().logits["main"], f.batch().y
    got = evaluate_terms((ce(0.3), kd("task", 0.7, 3.0)), f).loss
    want = (
        0.3 * cross_entropy(z, y).mean() + 0.7 * distillation(z, f.teacher("task").logits["main"], 3.0).mean()
    )
    torch.testing.assert_close(got, want)


def test_additive_terms_do_not_care_about_micro_batches() -> None:
    model, initial = lora_student()
    with torch.no_grad():  # away from step 0, so that the losses are not 0
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(generator=torch.Generator().manual_seed(3))
    terms = (ce(0.5), kd("task", 0.5), robust("gated"))
    teachers = {"initial": initial, "task": initial}
    batch = tiny_batch(8)
    trained = [p for p in model.parameters() if p.requires_grad]

    whole = evaluate_terms(terms, forwards(model, teachers, batch)).loss
    want = torch.autograd.grad(whole, trained)
    parts = [batch.take(range(4)), batch.take(range(4, 8))]
    losses = [evaluate_terms(terms, forwards(model, teachers, part), share=0.5).loss for part in parts]
    got = torch.autograd.grad(losses[0] + losses[1], trained)
    torch.testing.assert_close(sum(losses), whole, rtol=1e-5, atol=1e-6)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_non_finite_term_is_named_with_its_step() -> None:
    broken = Term("broken", lambda f: f.student().features.sum() * float("nan"), of="batch")
    total = evaluate_terms((ce(), broken), forwards(tiny_model(), {}))
    with pytest.raises(RequestError, match=r"step 7: term broken gave nan.*Lower train.lr"):
        numbers(total, step=7)


def test_a_finite_loss_passes() -> None:
    fine = evaluate_terms((ce(),), forwards(tiny_model(), {}))
    assert numbers(fine, step=0) == (fine.loss.item(), {"ce": fine.values["ce"].item()})


def test_all_weights_zero_is_an_error_not_a_zero_loss() -> None:
    with pytest.raises(ValueError, match="nothing to train"):
        evaluate_terms((ce(0.0),), forwards(tiny_model(), {}))
