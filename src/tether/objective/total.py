"""The weighted sum of a step's terms, with the one that went wrong named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.objective.forwards import Forwards
from tether.objective.terms import Term


@dataclass(frozen=True)
class Total:
    """A step's loss and each term's own value before its weight."""

    loss: Tensor
    values: dict[str, Tensor]


def evaluate_terms(
    terms: Sequence[Term],
    forwards: Forwards,
    share: float = 1.0,
    factors: Mapping[str, float] | None = None,
) -> Total:
    """Sum of weight x value over the terms with weight; L_total of METHODS 1.7.

    Args:
        terms: those of weight 0 are not touched, so their forwards never run.
        forwards: of one micro-batch.
        share: this micro-batch's part of the step's rows; per-example terms and batch statistics are both
            averaged with it.
        factors: term name -> what a controller multiplies its weight with.
    """
    values: dict[str, Tensor] = {}
    loss: Tensor | None = None
    for term in terms:
        if term.weight == 0:
            continue
        value = term.loss(forwards)
        if term.of == "example":
            value = value.mean()
        values[term.name] = value.detach()
        weight = term.weight * (factors.get(term.name, 1.0) if factors else 1.0)
        weighted = weight * share * value
        loss = weighted if loss is None else loss + weighted
    if loss is None:
        raise ValueError("no term has a weight, so there is nothing to train")
    return Total(loss, values)


def numbers(total: Total, step: int) -> tuple[float, dict[str, float]]:
    """The loss and each term's value on the host, in one transfer: a device waits once for all of them.

    Raises:
        RequestError: one is not finite; names the terms and the step.
    """
    found = torch.stack([t.detach().float().reshape(()) for t in (total.loss, *total.values.values())])
    loss, *each = found.tolist()
    values = dict(zip(total.values, each, strict=True))
    if math.isfinite(loss):
        return loss, values
    broken = {name: v for name, v in values.items() if not math.isfinite(v)} or {"total": loss}
    raise RequestError(
        f"the loss is not finite at step {step}: term {', '.join(broken)} gave "
        f"{', '.join(str(v) for v in broken.values())}. Lower train.lr or the "
        "term's weight; the last checkpoint holds the last good state."
    )
