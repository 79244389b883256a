"""L_robust: the student on shifted views, held to the initial model (document 000; METHODS 1.2 and 1.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.batch import Output
from tether.models.model import MAIN
from tether.objective.divergences import Direction, distillation, entropy
from tether.objective.forwards import CLEAN, Forwards, aligned, spread
from tether.objective.relations import relational
from tether.objective.terms import Term, Views, listed, lost
from tether.shifts.supplies import Supplies

Target = Literal["shifted", "clean", "gated"]


@dataclass(frozen=True)
class TeacherHead:
    """What of the two models' outputs is compared: the `teacher_head` of METHODS 1.2.

    Attributes:
        compare: (student's output, the target's) -> (B,), or a scalar when `of` is "batch".
        of: as of a Term.
        prepare: makes it from the user's data and the initial model; None when it is ready.
    """

    compare: Callable[[Output, Output], Tensor]
    of: Literal["example", "batch"] = "example"
    prepare: Callable[[Supplies], TeacherHead] | None = None


def class_logits(temperature: float = 2.0, direction: Direction = "forward") -> TeacherHead:
    """KD_T between class distributions: `zs`, `lp` and `map`, whichever head the initial model has."""

    def compare(student: Output, target: Output) -> Tensor:
        return distillation(student.logits[MAIN], target.logits[MAIN], temperature, direction)

    return TeacherHead(compare)


def cosine() -> TeacherHead:
    """1 - cos(phi_S, sg phi_0): the cheapest, and blind to how samples lie to each other."""

    def compare(student: Output, target: Output) -> Tensor:
        s = F.normalize(student.features.float(), dim=-1)
        t = F.normalize(target.features.detach().float(), dim=-1)
        # Half the squared chord is 1 - cos, and exactly 0 with zero gradient where the two agree.
        return 0.5 * (s - t).square().sum(-1)

    return TeacherHead(compare)


def relations(distance: float = 25.0, angle: float = 50.0) -> TeacherHead:
    """Relational KD (Park et al. 2019): how samples lie to each other, whatever rotation moves them all."""

    def compare(student: Output, target: Output) -> Tensor:
        return relational(student.features, target.features, distance, angle)

    return TeacherHead(compare, of="batch")


def gate(shifted: Tensor, clean: Tensor) -> Tensor:
    """Target logits: the teacher's on the shifted view where its decision held, else its clean ones.

    Where the initial model fails on the shifted input, the printed target teaches that failure.

    Args:
        shifted: z_0(x~), (B, C).
        clean: z_0(x), (B, C).
    """
    return torch.where(held(shifted, clean).unsqueeze(-1), shifted, clean)


def held(shifted: Tensor, clean: Tensor) -> Tensor:
    """Whether the teacher decided the same on both, (B,) bool, of logits (B, C)."""
    return shifted.argmax(-1) == clean.argmax(-1)


def sure(logits: Tensor) -> Tensor:
    """1 - H(p) / log C of logits (B, C), normalised to mean 1 over the batch, (B,) (METHODS 1.4)."""
    weight = (1.0 - entropy(logits) / torch.log(torch.tensor(float(logits.shape[-1])))).clamp_min(0.0)
    return weight / weight.mean().clamp_min(1e-6)


def robust(
    target: Target = "gated",
    weight: float = 1.0,
    temperature: float = 2.0,
    direction: Direction = "forward",
    view: Views = "shifted",
    teacher: str = "initial",
    name: str = "robust",
    head: TeacherHead | None = None,
    confidence_weight: bool = False,
) -> Term:
    """L_robust: the student on the shifted view against the initial model (document 000; METHODS 1.4).

    Args:
        target: "shifted" p_0(x~) as printed; "clean" p_0(x); "gated" the first where its decision held. A
            sample that lost its label shows something else than x: its target is p_0(x~) when gated, and it
            counts 0 when clean.
        view: one, or several to average over.
        head: what is compared; None for the classes' logits at `temperature`, in `direction`. Which target a
            sample has is told by the teacher's classes in any case.
        confidence_weight: weigh each sample by how sure the teacher is on x~, 1 - H / log C over its mean
            in the (micro-)batch.
    """
    views = listed(view)
    ready = class_logits(temperature, direction) if head is None else head

    def aim(f: Forwards, view: str) -> Output:
        if target == "shifted":
            return f.teacher(teacher, view)
        clean = aligned(f, view, f.teacher(teacher, CLEAN))
        if target == "clean" and ready.of == "example":
            return clean
        shifted = f.teacher(teacher, view)
        keep = lost(f, view)
        if target == "gated":
            keep = keep | held(shifted.logits[MAIN], clean.logits[MAIN])
        chosen = keep.unsqueeze(-1)
        logits = {MAIN: torch.where(chosen, shifted.logits[MAIN], clean.logits[MAIN])}
        return Output(torch.where(chosen, shifted.features, clean.features), logits, trust=shifted.trust)

    def one(f: Forwards, view: str) -> Tensor:
        wanted = aim(f, view)
        away = ready.compare(f.student(view), wanted)
        if ready.of == "batch":
            return away
        if target == "clean":
            away = torch.where(lost(f, view), 0.0, away)
        if confidence_weight:
            away = away * sure(f.teacher(teacher, view).logits[MAIN])
        # A teacher that mostly means none of the task's classes counts less (METHODS 1.2, `map`).
        return spread(f, view, away if wanted.trust is None else away * wanted.trust)

    def loss(f: Forwards) -> Tensor:
        return torch.stack([one(f, v) for v in views]).mean(0)

    def prepare(supplies: Supplies) -> Term:
        assert ready.prepare is not None
        made = ready.prepare(supplies)
        return robust(target, weight, temperature, direction, view, teacher, name, made, confidence_weight)

    return Term(
        name, loss, weight, ready.of, needs_label=views if target == "clean" else (),
        prepare=None if ready.prepare is None else prepare,
    )  # fmt: skip
