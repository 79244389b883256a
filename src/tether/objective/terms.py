"""The losses a method is made of, each a function of lazily computed forwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tether.batch import NO_LABEL, Output
from tether.models.model import MAIN
from tether.objective.divergences import Direction, cross_entropy, distillation, jensen_shannon
from tether.objective.features import Reduction, feature_distance
from tether.objective.forwards import CLEAN, Forwards, aligned, spread
from tether.objective.positions import Positions, pooled, positions, sampled
from tether.objective.rar import FLOOR, centred, check_rows, rar_over_layers
from tether.shifts.supplies import Supplies


@dataclass(frozen=True)
class Term:
    """One weighted loss.

    Attributes:
        name: shown in logs and errors.
        loss: forwards -> (B,) when `of` is "example", else a scalar.
        weight: lambda; 0 means the term and its forwards never run.
        of: "example": the engine averages, and splitting a batch changes nothing. "batch": a statistic of
            the batch (RAR, nmse); accumulation averages the micro-batches' values. "weights": of the weights
            alone (a distance from their start), whatever the batch; only such a term may ask `weights()`.
        prepare: makes the term itself from the user's data and the initial model, for one that needs
            constants of them (anchors, say); None when it is ready as it stands.
        needs_label: views on which the clean sample's label must hold. Samples that lost it (mixup) are left
            out, and a method whose shifts take it from every sample of such a view is refused.
    """

    name: str
    loss: Callable[[Forwards], Tensor]
    weight: float = 1.0
    of: Literal["example", "batch", "weights"] = "example"
    needs_label: tuple[str, ...] = ()
    prepare: Callable[[Supplies], Term] | None = None

    def prepared(self, supplies: Supplies) -> Term:
        """The term ready to run; one of weight 0 never runs and is left alone."""
        return self if self.prepare is None or self.weight == 0 else self.prepare(supplies)


Views = str | Sequence[str]  # one view, or several over which a term is averaged


def listed(view: Views) -> tuple[str, ...]:
    """The views' names."""
    return (view,) if isinstance(view, str) else tuple(view)


def lost(f: Forwards, view: str) -> Tensor:
    """Which of a view's samples had a label that its shift took away, (b,) bool."""
    part, clean = f.part(view), f.batch(CLEAN).y
    return (f.batch(view).y == NO_LABEL) & ((clean if part is None else clean[part.rows]) != NO_LABEL)


def shortest(tokens: Sequence[Tensor]) -> int:
    """The least T of block outputs (B, T, D): no sample has more tokens than that."""
    return min(t.shape[1] for t in tokens)


def ce(
    weight: float = 1.0,
    view: Views = CLEAN,
    head: str = MAIN,
    name: str = "ce",
    smoothing: float = 0.0,
) -> Term:
    """Cross-entropy of the student on a view's labels, or its mean over views; 0 for a sample without one.

    Args:
        smoothing: e in [0, 1): the target is (1 - e) onehot(y) + e / C.
    """
    views = listed(view)

    def loss(f: Forwards) -> Tensor:
        each = [
            spread(f, v, cross_entropy(f.student(v).logits[head], f.batch(v).y, smoothing)) for v in views
        ]
        return torch.stack(each).mean(0)

    return Term(name, loss, weight, needs_label=views)


def kd(
    teacher: str,
    weight: float = 1.0,
    temperature: float = 2.0,
    direction: Direction = "forward",
    view: Views = CLEAN,
    head: str = MAIN,
    teacher_head: str = MAIN,
    name: str = "kd",
) -> Term:
    """KD_T(student, teacher), both on the same view, or its mean over views (METHODS 1.3).

    Args:
        head: the student's.
        teacher_head: the teacher's.
    """
    views = listed(view)

    def loss(f: Forwards) -> Tensor:
        def one(v: str) -> Tensor:
            student, taught = f.student(v).logits[head], f.teacher(teacher, v).logits[teacher_head]
            return spread(f, v, distillation(student, taught, temperature, direction))

        return torch.stack([one(v) for v in views]).mean(0)

    return Term(name, loss, weight)


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
        clean = aligned(f, views[0], f.student(CLEAN)).logits[head]
        away = jensen_shannon([clean, *(f.student(v).logits[head] for v in views)])
        gone = torch.stack([lost(f, v) for v in views]).any(0)
        return spread(f, views[0], torch.where(gone, 0.0, away))

    return Term(name, loss, weight, needs_label=views)


def features(
    weight: float = 0.3,
    teacher: str = "initial",
    name: str = "feature",
    reduction: Reduction = "nmse",
    tokens: Positions = "all",
) -> Term:
    """L_feature on the clean view: normalised squared distance at the tapped blocks (METHODS 1.5).

    Args:
        reduction: "nmse", "sum" (as printed), "mean" or "ln"; see `features.distance`.
        tokens: "all", "cls" or "mean".
    """

    def loss(f: Forwards) -> Tensor:
        student, original = f.student(CLEAN, f.taps), f.teacher(teacher, CLEAN, f.taps)
        layers = {k: student.hidden[k] for k in f.taps}
        taught = {k: original.hidden[k] for k in f.taps}
        # The two may be padded to other lengths, one having run beside a longer view.
        short = shortest((*layers.values(), *taught.values())) if student.mask is not None else None
        mask = student.mask if student.mask is None else student.mask[:, :short]
        layers = {k: v[:, :short] for k, v in layers.items()}
        taught = {k: v[:, :short] for k, v in taught.items()}
        return feature_distance(layers, taught, mask, reduction, tokens)

    return Term(name, loss, weight, of="batch")


def activation(
    weight: float = 0.3,
    view: Views = "shifted",
    power: int = 1,
    teacher: str = "initial",
    name: str = "rar",
    rows: Literal["pooled", "tokens"] = "pooled",
    floor: float = FLOOR,
    centre: Literal["joint", "source"] = "joint",
) -> Term:
    """L_RAR over clean and shifted rows together (METHODS 1.6).

    Args:
        rows: "pooled", one a sample; or "tokens", 16 random positions of each sample, the same in both
            models: for micro-batches too small for 16 pooled rows. What only the position decides then
            counts as agreement.
        floor: features that vary less than this share of the mean variance count as constant.
        centre: "joint" over all rows; "source" clean rows and each view's by themselves.
    """

    def picked(f: Forwards, view: str, layer: int, output: Output) -> Tensor:
        hidden = output.hidden[layer]
        if rows == "pooled":
            return pooled(hidden, output.mask)
        scores = f.draws.uniform(f.batch(view).ids, (positions(hidden),), f"rar/{view}/{layer}")
        return sampled(hidden, output.mask, scores.to(hidden.device))

    def loss(f: Forwards) -> Tensor:
        if rows == "pooled" and any(f.part(v) is not None for v in listed(view)):
            check_rows(len(f.batch()), " or shift every sample (shifted_fraction=1),")
        student: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        original: dict[int, list[Tensor]] = {k: [] for k in f.taps}
        for view_name in dict.fromkeys((CLEAN, *listed(view))):
            s = f.student(view_name, f.taps)
            t = f.teacher(teacher, view_name, f.taps)
            for k in f.taps:
                student[k].append(picked(f, view_name, k, s))
                original[k].append(picked(f, view_name, k, t))
        join = centred if centre == "source" else list
        return rar_over_layers(
            {k: torch.cat(join(v)) for k, v in student.items()},
            {k: torch.cat(join(v)) for k, v in original.items()},
            power,
            floor,
        )

    return Term(name, loss, weight, of="batch")
