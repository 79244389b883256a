"""Feature distillation: how far block outputs moved from the initial model's (METHODS 1.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.objective.positions import Positions, chosen

Reduction = Literal["nmse", "sum", "mean", "ln"]
# A layer whose teacher hardly varies has no scale to measure against (METHODS 1.5: cap).
DEAD_VARIANCE = 1e-8


def nmse(student: Tensor, teacher: Tensor, mask: Tensor | None = None, tokens: Positions = "all") -> Tensor:
    """Squared distance over the teacher's own variance; a scalar, dimensionless.

    The printed sum of squares (document 000, L_feature) scales with tokens x width and with activation
    size; this is 0 when equal and about 2 for unrelated features of equal power.

        sum ||F_S - sg F_0||^2 / (sg sum ||F_0 - mean(F_0)||^2 + 1e-6)

    over valid positions, mean(F_0) per channel over the valid positions of the batch.

    Args:
        student: block output (B, T, D) or (B, C, H, W), carries the gradient.
        teacher: the initial model's, same shape; detached here.
        mask: valid positions (B, T) of the first form.
        tokens: which of them: "all", "cls" (the first), or "mean", one row a sample.
    """
    s, t = chosen(student, mask, tokens), chosen(teacher.detach(), mask, tokens)
    spread = (t - t.mean(0)).square().sum()
    if spread / t.numel() < DEAD_VARIANCE:
        return (s * 0.0).sum()
    return (s - t).square().sum() / (spread + 1e-6)


def distance(
    student: Tensor,
    teacher: Tensor,
    mask: Tensor | None = None,
    reduction: Reduction = "nmse",
    tokens: Positions = "all",
) -> Tensor:
    """One layer's L_l; a scalar.

    Args:
        student: block output (B, T, D) or (B, C, H, W), carries the gradient.
        teacher: the initial model's, same shape; detached here.
        mask: valid positions (B, T) of the first form.
        reduction: "nmse"; "sum" ||F_S - F_0||^2 of a sample, averaged over the samples, as document 000
            prints it; "mean" over elements; "ln" the same after a LayerNorm of each row without weights,
            which takes the huge channels of transformers out.
        tokens: "all", "cls" or "mean".

    Example:
        >>> a, b = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
        >>> [float(distance(a, b, None, r)) for r in ("sum", "mean")]
        [12.0, 1.0]
    """
    if reduction == "nmse":
        return nmse(student, teacher, mask, tokens)
    s, t = chosen(student, mask, tokens), chosen(teacher.detach(), mask, tokens)
    if reduction == "ln":
        width = (s.shape[-1],)
        s, t = F.layer_norm(s, width), F.layer_norm(t, width)
    away = (s - t).square()
    return away.sum() / len(student) if reduction == "sum" else away.mean()


def feature_distance(
    student: Mapping[int, Tensor],
    teacher: Mapping[int, Tensor],
    mask: Tensor | None = None,
    reduction: Reduction = "nmse",
    tokens: Positions = "all",
) -> Tensor:
    """L_feature with beta_l = 1/|L|: the mean of `distance` over the layers; a scalar of the batch."""
    losses = [distance(student[layer], teacher[layer], mask, reduction, tokens) for layer in sorted(student)]
    return torch.stack(losses).mean()
