"""The losses a method is made of, each a function of lazily computed forwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tether.models.model import MAIN
from tether.objective.divergences import Direction, cross_entropy, distillation
from tether.objective.features import feature_distance
from tether.objective.forwards import CLEAN, Forwards
from tether.objective.rar import pooled, rar_over_layers

Target = Literal["shifted", "clean", "gated"]


@dataclass(frozen=True)
class Term:
    """One weighted loss.

    Attributes:
        name: shown in logs and errors.
        loss: forwards -> (B,) when `of` is "example", a scalar when "batch".
        weight: lambda; 0 means the term and its forwards never run.
        of: "example": the engine averages, and splitting a batch changes nothing. "batch": a statistic of
            the batch (RAR, nmse); accumulation averages the micro-batches' values.
    """

    name: str
    loss: Callable[[Forwards], Tensor]
    weight: float = 1.0
    of: Literal["example", "batch"] = "example"


def ce(weight: float = 1.0, view: str = CLEAN, head: str = MAIN, name: str = "ce") -> Term:
    """Cross-entropy of the student on a view's labels."""

    def loss(f: Forwards) -> Tensor:
        return cross_entropy(f.student(view).logits[head], f.batch(view).y)

    return Term(name, loss, weight)


def kd(
    teacher: str,
    weight: float = 1.0,
    temperature: float = 2.0,
    direction: Direction = "forward",
    view: str = CLEAN,
    name: str = "kd",
) -> Term:
    """KD_T(student, teacher), both on the same view (METHODS 1.3)."""

    def loss(f: Forwards) -> Tensor:
        return distillation(
            f.student(view).logits[MAIN], f.teacher(teacher, view).logits[MAIN], temperature, direction
        )

    return Term(name, loss, weight)


def gate(shifted: Tensor, clean: Tensor) -> Tensor:
    """The teacher's logits on the shifted input where its decision held, else on the clean one.

    METHODS 1.4, `gated`: where the initial model fails on x~, its p_0(x~) would teach the failure.

    Args:
        shifted: z_0(x~), (B, C).
        clean: z_0(x), (B, C).
    """
    held = shifted.argmax(-1) == clean.argmax(-1)  # (B,)
    return torch.where(held.unsqueeze(-1), shifted, clean)


def robust(
    target: Target = "gated",
    weight: float = 1.0,
    temperature: float = 2.0,
    direction: Direction = "forward",
    view: str = "shifted",
    teacher: str = "initial",
    name: str = "robust",
) -> Term:
    """L_robust: the student on the shifted view against the initial model (document 000; METHODS 1.4).

    Args:
        target: "shifted" p_0(x~) as printed; "clean" p_0(x); "gated" the first where its decision held.
    """

    def loss(f: Forwards) -> Tensor:
        if target == "gated":
            shifted, clean = f.teacher(teacher, view), f.teacher(teacher, CLEAN)
            aim = gate(shifted.logits[MAIN], clean.logits[MAIN])
        else:
            shifted = f.teacher(teacher, view if target == "shifted" else CLEAN)
            aim = shifted.logits[MAIN]
        away = distillation(f.student(view).logits[MAIN], aim, temperature, direction)
        # A teacher that mostly means none of the task's classes counts less (METHODS 1.2, `map`).
        return away if shifted.trust is None else away * shifted.trust

    return Term(name, loss, weight)


def features(weight: float = 0.3, teacher: str = "initial", name: str = "feature") -> Term:
    """L_feature on the clean view: normalised squared distance at the tapped blocks (METHODS 1.5)."""

    def loss(f: Forwards) -> Tensor:
        student, original = f.student(CLEAN, f.taps), f.teacher(teacher, CLEAN, f.taps)
        layers = {k: student.hidden[k] for k in f.taps}
        return feature_distance(layers, {k: original.hidden[k] for k in f.taps}, student.mask)

    return Term(name, loss, weight, of="batch")


def activation(
    weight: float = 0.3, view: str = "shifted", power: int = 1, teacher: str = "initial", name: str = "rar"
) -> Term:
    """L_RAR over clean and shifted rows together, centred jointly (METHODS 1.6)."""

    def loss(f: Forwards) -> Tensor:
        student: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        original: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        for name_of_view in dict.fromkeys((CLEAN, view)):
            s = f.student(name_of_view, f.taps)
            t = f.teacher(teacher, name_of_view, f.taps)
            for k in f.taps:
                student[k].append(pooled(s.hidden[k], s.mask))
                original[k].append(pooled(t.hidden[k], t.mask))
        return rar_over_layers(
            {k: torch.cat(v) for k, v in student.items()},
            {k: torch.cat(v) for k, v in original.items()},
            power,
        )

    return Term(name, loss, weight, of="batch")
