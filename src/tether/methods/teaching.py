"""RDFT's two lessons by their options: the skilled task teacher, and the robust initial model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from tether.errors import RequestError
from tether.methods.method import Saved, TeacherSource, Trained
from tether.methods.student import Student
from tether.objective import Term, robust
from tether.objective.anchors import to_anchors
from tether.objective.controller import Controller, id_floor, primal_dual
from tether.objective.divergences import Direction
from tether.objective.masked_words import masked_words
from tether.objective.robustness import Target, TeacherHead, cosine, relations
from tether.shifts import Mixture
from tether.shifts.masking import mask_words

Head = Literal["logits", "anchor", "cos", "rkd", "mlm"]
Reference = Literal["best", "lora"] | float


def task_source(
    task_teacher: str, patience: int | None = None, smoothing: float = 0.0, folds: int = 0
) -> TeacherSource:
    """Where the task teacher comes from: a folder, or a method to train it with (METHODS 1.3).

    Args:
        task_teacher: a method's name, or a path with a slash in it.
        patience: looks at ID validation after which its training ends; None for the run's recipe.
        smoothing: of its labels.
        folds: 2 to 5 cross-fitted teachers, 0 for one.

    Raises:
        RequestError: options of training for a teacher that is not trained here, or one fold.
    """
    if "/" in task_teacher:
        if patience is not None or smoothing or folds:
            raise RequestError(
                f"task_teacher: {task_teacher} is trained already, so task_teacher_patience, "
                "task_teacher_smoothing and cross_fit_folds mean nothing; leave them out"
            )
        return Saved(task_teacher)
    if folds and not 2 <= folds <= 5:
        raise RequestError(f"cross_fit_folds: expected 0, or 2 to 5, got {folds}")
    if not 0.0 <= smoothing < 1.0:
        raise RequestError(
            f"task_teacher_smoothing: expected at least 0 and below 1, got {smoothing}; .1 is usual"
        )
    options = {"label_smoothing": smoothing} if smoothing else {}
    return Trained(task_teacher, options, patience=patience, folds=folds)


def robust_lesson(
    head: Head,
    views: Mapping[str, Mixture],
    target: Target,
    weight: float,
    temperature: float,
    direction: Direction,
    confidence_weight: bool,
    anchors: int,
    tau: float,
    student: Student,
) -> tuple[Term, dict[str, Mixture]]:
    """L_robust, and the views that it needs beside the shifted ones (METHODS 1.2, 1.4).

    Raises:
        RequestError: mlm with a student whose token embeddings train, or with an option it does not have.
    """
    if head != "mlm":
        heads: dict[Head, TeacherHead] = {
            "anchor": to_anchors(anchors, tau, direction), "cos": cosine(), "rkd": relations(),
        }  # fmt: skip
        if head == "rkd" and confidence_weight:
            raise RequestError("confidence_weight: rkd is one number of the batch; leave it out")
        return (
            robust(
                target, weight, temperature, direction, tuple(views), head=heads.get(head),
                confidence_weight=confidence_weight,
            ),
            {},
        )  # fmt: skip
    if student == "full" or confidence_weight:
        raise RequestError(
            "teacher_head mlm: expected student=lora or last_blocks, whose token embeddings are the initial "
            f"model's, and no confidence_weight; got student={student}; choose another teacher_head"
        )
    if weight == 0:
        return masked_words(0.0), {}
    masked = {f"masked_{name}": replace(view, after=mask_words) for name, view in views.items()}
    return masked_words(weight, tuple(masked)), masked


def steering(
    name: Literal["none", "id_floor", "primal_dual"],
    robust_weight: float,
    reference: Reference,
    rank: int,
    lora_alpha: float,
) -> tuple[Controller | None, Trained | None]:
    """The controller, and the run whose ID validation it holds on to (METHODS 1.9).

    Raises:
        RequestError: a reference for a controller that has none, or one that is no accuracy.
    """
    if name != "id_floor" and reference != "best":
        raise RequestError(
            f"controller_reference: only id_floor has one, the controller is {name}; leave it out"
        )
    if isinstance(reference, float) and not 0.0 < reference <= 1.0:
        raise RequestError(f"controller_reference: expected an accuracy above 0 and up to 1, got {reference}")
    if name == "primal_dual":
        return primal_dual(robust_weight), None
    if name == "none":
        return None, None
    plain = Trained("lora", {"rank": rank, "lora_alpha": lora_alpha}) if reference == "lora" else None
    return id_floor(reference=reference if isinstance(reference, float) else None), plain
