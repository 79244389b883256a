"""Which of two heads to believe, by their Monte-Carlo passes (document 003, eq. 6; METHODS 4.3)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Uncertainty = Literal["mean", "top1"]
Rule = Literal["floored", "product", "kl_only", "u_only", "confidence", "oracle"]
FLOOR = 1e-8  # of a probability inside a logarithm


def uncertainty(passes: Tensor, how: Uncertainty = "mean") -> Tensor:
    """U of one head, (B,): the population standard deviation over passes.

    Args:
        passes: probabilities (S, B, C).
        how: "mean" over the classes, or "top1", that of the class which the mean prediction chooses.

    Example:
        >>> uncertainty(torch.tensor([[[0.9, 0.1]], [[0.7, 0.3]]])).tolist()  # doctest: +ELLIPSIS
        [0.1...]
    """
    spread = passes.std(0, correction=0)  # (B, C)
    if how == "mean":
        return spread.mean(-1)
    top = passes.mean(0).argmax(-1, keepdim=True)  # (B, 1)
    return spread.gather(-1, top).squeeze(-1)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of probabilities (B, C), floored at 1e-8 and renormalised, (B,) in nats."""
    p, q = (t.clamp(min=FLOOR) for t in (p, q))
    p, q = (t / t.sum(-1, keepdim=True) for t in (p, q))
    return (p * (p.log() - q.log())).sum(-1)


def score(rule: Rule, u: Tensor, kl: Tensor, top: Tensor, floors: tuple[float, float]) -> Tensor:
    """What the chosen head has the least of.

    The printed product U KL picks a broken head that is certain: U near 0 makes it win whatever KL says.
    "floored" is (U + u0) (KL + k0), in which neither factor can silence the other.

    Args:
        rule: "oracle" has no score.
        u: each head's U, any shape.
        kl: KL of the combined head's mean prediction from each head's, same shape.
        top: each head's largest mean probability, same shape.
        floors: u0 and k0, their medians on ID validation.
    """
    if rule == "product":
        return u * kl
    if rule == "kl_only":
        return kl
    if rule == "u_only":
        return u
    if rule == "confidence":
        return -top
    return (u + floors[0]) * (kl + floors[1])


def medians(u: list[Tensor], kl: list[Tensor]) -> tuple[float, float]:
    """u0 and k0 over all samples, pooled over heads."""
    return float(np.median(torch.cat(u).numpy())), float(np.median(torch.cat(kl).numpy()))
