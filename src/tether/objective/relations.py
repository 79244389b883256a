"""Relational knowledge distillation (Park et al. 2019): distances and angles among the samples of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

IN_TRIPLETS = 128  # rows whose angles are compared: all triplets of n rows are n cubed numbers


def distances(features: Tensor) -> Tensor:
    """Euclidean distances (B, B) between rows (B, D), over the mean of those that are not 0."""
    # Without the matrix product's shortcut, which is imprecise for near rows and moves the diagonal off 0.
    apart = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    known = apart > 0
    mean = apart.sum() / known.sum().clamp_min(1)
    return apart / mean.clamp_min(1e-12)


def angles(features: Tensor) -> Tensor:
    """Cos of the angle at row j between rows i and k, (B, B, B) as [j, i, k], of rows (B, D)."""
    away = F.normalize(features.unsqueeze(0) - features.unsqueeze(1), dim=-1)  # [j, i]: from j to i
    return away @ away.transpose(1, 2)


def relational(student: Tensor, teacher: Tensor, distance: float = 25.0, angle: float = 50.0) -> Tensor:
    """Huber losses of normalised distances and of angles, weighted; a statistic of the batch (METHODS 1.2).

    It does not change when all student features are rotated or scaled together, so it is the loosest hold
    on the initial model. Student and teacher may differ in width.

    Args:
        student: features (B, D), carry the gradient.
        teacher: features (B, D'), detached here.
        distance: weight of the distances, 25 as its authors'.
        angle: of the angles, 50 as its authors'; over the first 128 rows.

    Returns:
        A scalar; 0 where the two agree up to rotation and scale.

    Example:
        >>> a = torch.randn(8, 4)
        >>> bool(relational(3 * a, a) < 1e-6)
        True
    """
    s, t = student.float(), teacher.detach().float()
    loss = distance * F.smooth_l1_loss(distances(s), distances(t))
    few, taught = s[:IN_TRIPLETS], t[:IN_TRIPLETS]
    return loss + angle * F.smooth_l1_loss(angles(few), angles(taught))
