"""theta(mu) = (1 - mu) theta_0 + mu theta_S over everything that was trained (document 000; METHODS 1.11)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.finish.judge import Finish, Finished, Judge, Scores, Start
from tether.models.model import MAIN, Model
from tether.tune.lora import is_down_projection

STEP = 0.05
FALLBACK = 0.5  # WiSE-FT's advice without OOD validation (METHODS 1.11)
ID_TOLERANCE = 0.01


def trained_state(model: Model) -> dict[str, Tensor]:
    """A copy of every trained parameter, by name."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def start_state(model: Model, head: nn.Module | None = None) -> dict[str, Tensor]:
    """The trained parameters of M_0, by name; call it before the first step.

    METHODS 1.11 has no line to a student whose head started at random, for want of theta_0's. Where M_0's
    head is known it takes that end: mu = 0 is M_0.

    Args:
        head: M_0's, where the student's own started at random; None for the student's.

    Raises:
        RequestError: a head of another kind, such as a zero-shot one: no line joins it with the student's.
    """
    state = trained_state(model)
    theirs = {} if head is None else {f"heads.{MAIN}.{n}": p.detach() for n, p in head.named_parameters()}
    for name, value in theirs.items():
        if name not in state or state[name].shape != value.shape:
            raise RequestError(
                f"method.start: the initial model's head is a {type(head).__name__}, and no line joins it "
                "with a random one; leave start out, or merging (mu null)"
            )
        state[name] = value.to(state[name].device, copy=True)
    return state


def interpolate(model: Model, start: Start, end: Start, mu: float) -> None:
    """Set the model's trained parameters to (1 - mu) start + mu end, in place.

    Of a product B A only B is scaled (its start is 0), so the merged weight W + mu s B A is linear in mu;
    scaling both factors would give mu squared. The ends are exact: mu = 0 is the initial model and
    mu = 1 the student, to the bit.
    """
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, last in end.items():
            if is_down_projection(name) or mu == 1.0:
                parameters[name].copy_(last)
            elif mu == 0.0:
                parameters[name].copy_(start[name])
            else:
                parameters[name].copy_(torch.lerp(start[name], last, mu))


def choose(curve: list[tuple[float, Scores]]) -> float:
    """The mu with the best OOD validation whose ID validation is within 0.01 of the best ID.

    Ties go to the larger mu, the weights that learned more. Without OOD validation: 0.5.
    """
    if any(s.ood_val is None for _, s in curve):
        return FALLBACK
    floor = max(s.id_val for _, s in curve) - ID_TOLERANCE
    allowed = [(s.ood_val or 0.0, mu) for mu, s in curve if s.id_val >= floor]
    return max(allowed)[1]


def merge(mu: float | Literal["auto"] = "auto", step: float = STEP) -> Finish:
    """A finish that interpolates with the initial weights.

    Args:
        mu: the weight of the student in [0, 1]; "auto" sweeps 0..1 and chooses on validation only.
        step: of the sweep.

    Raises:
        RequestError: mu outside [0, 1].
    """
    if mu != "auto" and not 0.0 <= mu <= 1.0:
        raise RequestError(f"the merging weight lies in [0, 1] or is 'auto', got {mu}")

    def finish(model: Model, start: Start, judge: Judge) -> Finished:
        end = trained_state(model)
        if mu != "auto":
            interpolate(model, start, end, mu)
            return Finished(chosen=mu)
        curve = sweep(model, start, end, judge, step)
        best = choose(curve)
        interpolate(model, start, end, best)
        return Finished(chosen=best, curve=tuple(curve))

    judged = round(1.0 / step) + 1 if mu == "auto" else 0
    return Finish(finish, judged, interpolates=True)


def sweep(
    model: Model,
    start: Start,
    end: Start,
    judge: Judge,
    step: float = STEP,
) -> list[tuple[float, Scores]]:
    """Validation scores along the whole line; the model is left at mu = 1."""
    count = round(1.0 / step)
    curve: list[tuple[float, Scores]] = []
    for i in range(count + 1):
        mu = i / count
        interpolate(model, start, end, mu)
        curve.append((mu, judge(model)))
    return curve
