"""Distances between predictive distributions, per example, in fp32 from log-softmax. Pure maths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.batch import NO_LABEL

Direction = Literal["forward", "reverse", "js"]


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """CE per example, (B, C), (B,) -> (B,) in nats; an ignored label (-100) gives 0, not a dropped row.

    Args:
        smoothing: e in [0, 1): the target is (1 - e) onehot(y) + e / C.
    """
    return F.cross_entropy(
        logits.float(), labels, reduction="none", ignore_index=NO_LABEL, label_smoothing=smoothing
    )


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_c p_c (log p_c - log q_c) of log-probabilities (B, C) -> (B,), in nats."""
    # Where p underflows to 0 its term is 0, although log p is -inf there.
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), torch.zeros_like(p)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """H(p) in nats of logits (B, C), (B,)."""
    log_p = F.log_softmax(logits.float(), dim=-1)
    return -torch.where(log_p.exp() > 0, log_p.exp() * log_p, torch.zeros_like(log_p)).sum(-1)


def distillation(
    student: Tensor, teacher: Tensor, temperature: float = 2.0, direction: Direction = "forward"
) -> Tensor:
    """KD_T = T^2 KL(sg[p_t^T] || p_s^T) per example; METHODS 0, document 000's L_KD.

    The argument order of the document is open; forward KL is mass-covering and its gradient at the
    student's logits is (p_s - p_t) / T (METHODS 1.3). T^2 keeps that gradient's size when T changes.

    Args:
        student: logits (B, C); carries the gradient.
        teacher: logits (B, C); detached here.
        temperature: T > 0.
        direction: "forward" KL(t || s), "reverse" KL(s || t), or "js", their mean against the mixture.

    Returns:
        (B,) nats times T^2; 0 where the two agree.

    Example:
        >>> z = torch.randn(4, 10)
        >>> float(distillation(z, z).abs().max()) < 1e-6
        True
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    log_s = F.log_softmax(student.float() / temperature, dim=-1)
    log_t = F.log_softmax(teacher.detach().float() / temperature, dim=-1)
    if direction == "forward":
        loss = kl(log_t, log_s)
    elif direction == "reverse":
        loss = kl(log_s, log_t)
    else:
        log_m = torch.logaddexp(log_s, log_t) - math.log(2.0)
        loss = 0.5 * (kl(log_t, log_m) + kl(log_s, log_m))
    return temperature**2 * loss


def jensen_shannon(logits: Sequence[Tensor]) -> Tensor:
    """JSD of n predictions, mean_i KL(p_i || M) with M = clamp(mean_i p_i, 1e-7, 1); METHODS 5.2.

    Args:
        logits: n tensors (B, C); all carry the gradient.

    Returns:
        (B,) in nats, between 0 (all agree) and log n.

    Example:
        >>> z = torch.randn(4, 10)
        >>> float(jensen_shannon([z, z, z]).abs().max()) < 1e-6
        True
    """
    logs = [F.log_softmax(z.float(), dim=-1) for z in logits]
    log_m = (torch.logsumexp(torch.stack(logs), dim=0) - math.log(len(logs))).clamp(math.log(1e-7), 0.0)
    return torch.stack([kl(log_p, log_m) for log_p in logs]).mean(0)
