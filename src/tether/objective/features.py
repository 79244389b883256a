"""Feature distillation: how far block outputs moved from the initial model's (METHODS 1.5)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

# A layer whose teacher hardly varies has no scale to measure against (METHODS 1.5: cap).
DEAD_VARIANCE = 1e-8


def rows(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Valid positions as rows: (B, T, D) with mask (B, T), or (B, C, H, W) -> (N, D), in fp32."""
    if hidden.dim() == 4:
        return hidden.float().permute(0, 2, 3, 1).flatten(0, 2)
    if mask is None:
        return hidden.float().flatten(0, -2)
    return hidden.float()[mask]


def nmse(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    """Squared distance over the teacher's own variance; a scalar, dimensionless.

    The printed sum of squares (document 000, L_feature) scales with tokens x width and with activation
    size; this is 0 when equal and about 2 for unrelated features of equal power.

        sum ||F_S - sg F_0||^2 / (sg sum ||F_0 - mean(F_0)||^2 + 1e-6)

    over valid positions, mean(F_0) per channel over the valid positions of the batch.

    Args:
        student: block output (B, T, D) or (B, C, H, W), carries the gradient.
        teacher: the initial model's, same shape; detached here.
        mask: valid positions (B, T) of the first form.
    """
    s, t = rows(student, mask), rows(teacher.detach(), mask)
    spread = (t - t.mean(0)).square().sum()
    if spread / t.numel() < DEAD_VARIANCE:
        return (s * 0.0).sum()
    return (s - t).square().sum() / (spread + 1e-6)


def feature_distance(
    student: Mapping[int, Tensor], teacher: Mapping[int, Tensor], mask: Tensor | None = None
) -> Tensor:
    """L_feature with beta_l = 1/|L|: the mean of `nmse` over the layers; a scalar of the batch."""
    losses = [nmse(student[layer], teacher[layer], mask) for layer in sorted(student)]
    return torch.stack(losses).mean()
