"""Hybrid KD: distillation on perturbed inputs with an activation penalty (document 001)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tether import tune
from tether.methods.method import Initial, Method
from tether.methods.student import HeadStart
from tether.objective import act_l2, ce, kd, robust
from tether.objective.divergences import Direction
from tether.shifts import Spec, several


def hybrid_kd(
    distillation_weight: float = 1.0,
    activation_weight: float = 0.1,
    activation: Literal["smoothed", "literal"] = "smoothed",
    kd_on_clean: bool = False,
    temperature: float = 2.0,
    kd_direction: Direction = "forward",
    rank: int = 8,
    lora_alpha: float = 16.0,
    shifts: Sequence[Spec] | None = None,
    views: int = 1,
    severities: tuple[int, ...] = (1, 2, 3),
    start: HeadStart = "auto",
) -> Method:
    """L_task(x) + l2 KD_T(student, initial)(x~) + w L_reg(x) (METHODS 2).

    Departures from the document, with reasons in METHODS 2: lambda 1 is fixed at 1; L_reg, printed without
    a weight, has one, is relative to the teacher's norm, smoothed at 0 and a mean over samples; its layers,
    which the document leaves open, are RDFT's, pooled.

    Args:
        distillation_weight: lambda 2.
        activation_weight: of L_reg.
        activation: "literal" is the printed sum of norms. It has no gradient where the student equals its
            start, and training stops with a message that names the term. To show that.
        kd_on_clean: KD on clean inputs too, averaged with the shifted ones.
        temperature: T.
        kd_direction: "forward" KL(teacher || student), "reverse" or "js"; the document does not say.
        rank: of the LoRA student.
        lora_alpha: over rank, the adapters' scale.
        shifts: perturbations, each a name or {name: ..., weight: ..., options}; null takes the data's, else
            the defaults for pictures or texts.
        views: V, shifted views of each sample.
        severities: 0 to 5, drawn per sample and view.
        start: the student's head at step 0: "auto" takes one that the model brings for these classes, else a
            random one; "probe" fits a linear probe where it brings none.
    """
    shifted = several(views, shifts, severities)
    part = distillation_weight / (views + 1) if kd_on_clean else 0.0
    return Method(
        tuning=tune.lora(rank, lora_alpha),
        terms=(
            ce(),
            robust("shifted", distillation_weight - part, temperature, kd_direction, tuple(shifted)),
            kd("initial", part, temperature, kd_direction, name="kd_clean"),
            act_l2(activation_weight, activation == "literal"),
        ),
        views=shifted,
        teachers={"initial": Initial()},
        start=start,
    )
