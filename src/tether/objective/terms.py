"""The losses a method is made of, each a function of lazily computed forwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tether.batch import NO_LABEL
from tether.models.model import MAIN
from tether.objective.divergences import Direction, cross_entropy, distillation, jensen_shannon
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
        needs_label: views on which the clean sample's label must hold. Samples that lost it (mixup) are left
            out, and a method whose shifts take it from every sample of such a view is refused.
    """

    name: str
    loss: Callable[[Forwards], Tensor]
    weight: float = 1.0
    of: Literal["example", "batch"] = "example"
    needs_label: tuple[str, ...] = ()


Views = str | Sequence[str]  # one view, or several over which a term is averaged


def listed(view: Views) -> tuple[str, ...]:
    """The views' names."""
    return (view,) if isinstance(view, str) else tuple(view)


def lost(f: Forwards, view: str) -> Tensor:
    """Which samples had a label that the view's shift took away, (B,) bool."""
    return (f.batch(view).y == NO_LABEL) & (f.batch(CLEAN).y != NO_LABEL)


def ce(weight: float = 1.0, view: Views = CLEAN, head: str = MAIN, name: str = "ce") -> Term:
    """Cross-entropy of the student on a view's labels, or its mean over views; 0 for a sample without one."""
    views = listed(view)

    def loss(f: Forwards) -> Tensor:
        each = [cross_entropy(f.student(v).logits[head], f.batch(v).y) for v in views]
        return torch.stack(each).mean(0)

    return Term(name, loss, weight, needs_label=views)


def kd(
    teacher: str,
    weight: float = 1.0,
    temperature: float = 2.0,
    direction: Direction = "forward",
    view: str = CLEAN,
    name: str = "kd",
    head: str = MAIN,
) -> Term:
    """KD_T(student, teacher), both on the same view (METHODS 1.3); `head` is the student's."""

    def loss(f: Forwards) -> Tensor:
        return distillation(
            f.student(view).logits[head], f.teacher(teacher, view).logits[MAIN], temperature, direction
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
    view: Views = "shifted",
    teacher: str = "initial",
    name: str = "robust",
) -> Term:
    """L_robust: the student on the shifted view against the initial model (document 000; METHODS 1.4).

    Args:
        target: "shifted" p_0(x~) as printed; "clean" p_0(x); "gated" the first where its decision held. A
            sample that lost its label shows something else than x: its target is p_0(x~) when gated, and it
            counts 0 when clean.
        view: one, or several to average over.
    """
    views = listed(view)

    def one(f: Forwards, view: str) -> Tensor:
        if target == "gated":
            shifted, clean = f.teacher(teacher, view), f.teacher(teacher, CLEAN)
            z = shifted.logits[MAIN]
            aim = torch.where(lost(f, view)[:, None], z, gate(z, clean.logits[MAIN]))
        else:
            shifted = f.teacher(teacher, view if target == "shifted" else CLEAN)
            aim = shifted.logits[MAIN]
        away = distillation(f.student(view).logits[MAIN], aim, temperature, direction)
        if target == "clean":
            away = torch.where(lost(f, view), 0.0, away)
        # A teacher that mostly means none of the task's classes counts less (METHODS 1.2, `map`).
        return away if shifted.trust is None else away * shifted.trust

    def loss(f: Forwards) -> Tensor:
        return torch.stack([one(f, v) for v in views]).mean(0)

    return Term(name, loss, weight, needs_label=views if target == "clean" else ())


def jsd(
    weight: float = 12.0,
    views: Sequence[str] = ("shifted", "shifted2"),
    head: str = MAIN,
    name: str = "jsd",
) -> Term:
    """AugMix's consistency: the JSD of the student on the clean input and on views of it (METHODS 5.2).

    Beside `ce()` on the clean view it is AugMix's whole loss. A sample that lost its label counts 0.

    Args:
        weight: 12 as its authors'.
        views: two as its authors', made with unlike draws: `several(2, ["augmix"])` makes such.
    """
    views = tuple(views)

    def loss(f: Forwards) -> Tensor:
        away = jensen_shannon([f.student(v).logits[head] for v in (CLEAN, *views)])
        gone = torch.stack([lost(f, v) for v in views]).any(0)
        return torch.where(gone, 0.0, away)

    return Term(name, loss, weight, needs_label=views)


def features(weight: float = 0.3, teacher: str = "initial", name: str = "feature") -> Term:
    """L_feature on the clean view: normalised squared distance at the tapped blocks (METHODS 1.5)."""

    def loss(f: Forwards) -> Tensor:
        student, original = f.student(CLEAN, f.taps), f.teacher(teacher, CLEAN, f.taps)
        layers = {k: student.hidden[k] for k in f.taps}
        return feature_distance(layers, {k: original.hidden[k] for k in f.taps}, student.mask)

    return Term(name, loss, weight, of="batch")


def activation(
    weight: float = 0.3, view: Views = "shifted", power: int = 1, teacher: str = "initial", name: str = "rar"
) -> Term:
    """L_RAR over clean and shifted rows together, centred jointly (METHODS 1.6)."""

    def loss(f: Forwards) -> Tensor:
        student: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        original: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        for name_of_view in dict.fromkeys((CLEAN, *listed(view))):
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
