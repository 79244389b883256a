"""The weighted sum of a step's terms, with the one that went wrong named."""

from __future__ import annotations

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


def check_finite(total: Total, step: int) -> None:
    """Stop at the first non-finite loss.

    Raises:
        RequestError: names the term and the step.
    """
    if bool(torch.isfinite(total.loss)):
        return
    broken = [name for name, value in total.values.items() if not bool(torch.isfinite(value))] or ["total"]
    raise RequestError(
        f"the loss is not finite at step {step}: term {', '.join(broken)} gave "
        f"{', '.join(str(float(total.values.get(n, total.loss))) for n in broken)}. Lower train.lr or the "
        "term's weight; the last checkpoint holds the last good state."
    )
