"""Options that would do nothing are refused."""

from __future__ import annotations

import pytest
import torch

from tether import methods, tune
from tether.errors import RequestError
from tether.finish import interpolate, start_state, trained_state
from tether.models.heads import LinearHead
from tether.teachers import bind
from tiny import fixed, tiny_batch, tiny_model


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"student": "full", "variant": "dora", "mu": None}, "variant"),
        ({"student": "last_blocks", "dropout": 0.1}, "dropout"),
        ({"student": "full", "targets": "qv"}, "targets"),
        ({"student": "lora", "blocks": 2}, "blocks"),
    ],
)
def test_an_option_of_another_student_is_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(RequestError, match=rf"method\.{named}: means nothing for student="):
        methods.build("rdft", options)


def test_those_that_fit_are_taken() -> None:
    assert methods.build("rdft", {"student": "last_blocks", "blocks": 2}).tuning.name == "last blocks"
    assert methods.build("rdft", {"dropout": 0.1, "targets": "qv"}).tuning.name == "lora"


@pytest.mark.parametrize("name", ["rdft", "hybrid_kd", "kd_clean"])
def test_a_random_head_asks_for_that_of_the_initial_model(name: str) -> None:
    assert methods.build(name, {"start": "random"}).asks_initial_head
    assert not methods.build(name, {}).asks_initial_head
    assert not methods.build("finetune", {}).asks_initial_head


def test_a_random_head_must_train() -> None:
    with pytest.raises(RequestError, match="would stay random"):
        methods.build("rdft", {"start": "random", "head_mode": "frozen"})


@pytest.mark.parametrize("student", ["lora", "full"])
def test_the_initial_teacher_of_a_random_head_is_the_model_under_its_own(student: str) -> None:
    method = methods.build("rdft", {"start": "random", "alpha": 1.0, "student": student})
    model, first = tiny_model(), fixed(LinearHead(8, 3), seed=7)
    batch = tiny_batch(6)
    want = tiny_model()
    want.heads["main"] = first
    before = want.eval()(batch).logits["main"].detach().clone()
    method.tuning.apply(model)
    runner = bind(method, model, {}, first)["initial"].run
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.3)
    assert torch.allclose(runner(batch, ()).logits["main"], before, atol=1e-6)


def test_merging_a_random_head_ends_at_the_initial_model() -> None:
    model, first = tiny_model(), fixed(LinearHead(8, 3), seed=7)
    tune.lora(2).apply(model)
    origin = start_state(model, first)
    want = tiny_model()
    want.heads["main"] = first
    batch = tiny_batch(6)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(0.3)
    interpolate(model, origin, trained_state(model), 0.0)
    assert torch.allclose(model.eval()(batch).logits["main"], want.eval()(batch).logits["main"], atol=1e-6)


def test_a_head_of_another_kind_has_no_line_to_a_random_one() -> None:
    with pytest.raises(RequestError, match=r"no line joins it with a random one"):
        start_state(tiny_model(), torch.nn.Linear(3, 3))
