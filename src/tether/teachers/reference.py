"""The reference run of a controller: plain training with the same budget, scored on ID validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from tether.batch import Batch, Output
from tether.data import Examples
from tether.errors import RequestError
from tether.finish import Judge, Scores
from tether.methods import Method
from tether.models.model import MAIN, Model
from tether.objective import Runner
from tether.progress import say
from tether.teachers.trained import Making, Teacher, trained_teacher
from tether.training import Engine


def accuracy(run: Runner, examples: Examples, engine: Engine) -> float:
    """Share of the samples whose main head says their label."""
    hits = 0
    for start in range(0, len(examples), 64):
        batch = examples.batch(range(start, min(start + 64, len(examples)))).to(engine.device)
        with torch.no_grad(), engine.autocast():
            hits += int((run(batch, ()).logits[MAIN].argmax(-1) == batch.y).sum())
    return hits / len(examples)


def judged_by_id(making: Making) -> Judge:
    """A judge by ID validation alone, for a teacher that stops early (METHODS 1.3)."""
    examples = making.id_val
    if examples is None or len(examples) == 0:
        raise RequestError("task_teacher_patience: expected an ID validation set to stop by, got none")

    def judge(model: Model) -> Scores:
        model.eval()
        return Scores(accuracy(model, examples, making.engine), None, len(examples))

    return judge


def with_reference(method: Method, making: Making) -> tuple[Method, Teacher | None]:
    """The method with its controller holding on to the reference's ID validation.

    The reference is trained, or found in the cache, like a teacher; its weights are not kept.

    Raises:
        RequestError: a controller that takes no reference, or no ID validation to score one on.
    """
    if method.reference is None:
        return method, None
    controller = method.controller
    if controller is None or controller.given is None or making.id_val is None or not len(making.id_val):
        name = "none" if controller is None else controller.name
        raise RequestError(
            f"controller_reference: expected a controller that holds ID validation, such as id_floor, and an "
            f"ID validation set; got the controller {name}; leave the reference out"
        )
    trained = trained_teacher("reference", method.reference, making)
    score = accuracy(trained.run, making.id_val, making.engine)
    say(f"reference: {method.reference.method} has {score:.4f} on ID validation")
    return replace(method, controller=controller.given(score)), replace(trained, run=_gone)


def _gone(batch: Batch, hidden: Sequence[int] = ()) -> Output:
    raise RuntimeError("the reference's weights are not kept")
