"""L_reg of document 001: the distance of activations from the initial model's, unsquared (METHODS 2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tether.objective.forwards import CLEAN, Forwards
from tether.objective.rar import pooled
from tether.objective.terms import Term

SMOOTHING = 1e-3  # eps over the teacher's norm (METHODS 2)
FLOOR = 1e-6  # of a norm that is divided by: a dead layer's


def relative_deviation(student: Tensor, teacher: Tensor) -> Tensor:
    """(sqrt(||a_S - a_T||^2 + eps^2) - eps) / ||a_T||, eps = 1e-3 ||a_T||; (B, D), (B, D) -> (B,).

    The printed norm has no gradient where the two are equal, which is where training starts, and it pulls
    as hard near 0 as far away. This one is 0 there with gradient 0, and ||a_S - a_T|| / ||a_T|| far away.
    With rms(a) = ||a|| / sqrt(d) taken a row, METHODS' eps = 1e-3 rms(a_T) sqrt(d) is 1e-3 ||a_T||, and
    the value of a sample does not depend on the rest of its batch.

    Args:
        student: carries the gradient.
        teacher: detached here.

    Example:
        >>> a = torch.ones(1, 4)
        >>> float(relative_deviation(a, a)), round(float(relative_deviation(3 * a, a)), 2)
        (0.0, 2.0)
    """
    s, t = student.float(), teacher.detach().float()
    norm = t.norm(dim=-1).clamp_min(FLOOR)
    moved = (s - t).square().sum(-1) / norm.square()
    # A difference of roots loses its digits near 0: (sqrt(m + e^2) - e) = m / (sqrt(m + e^2) + e).
    smoothed: Tensor = moved / ((moved + SMOOTHING**2).sqrt() + SMOOTHING)
    return smoothed


def literal_norm(student: Tensor, teacher: Tensor) -> Tensor:
    """sum_i ||a_i^S - a_i^T||_2 as printed, a scalar; its gradient where the two are equal is NaN."""
    return (student.float() - teacher.detach().float()).square().sum(-1).sqrt().sum()


def act_l2(
    weight: float = 0.1, literal: bool = False, teacher: str = "initial", name: str = "act_l2"
) -> Term:
    """The deviation of pooled block outputs on the clean view, averaged over the tapped blocks.

    Args:
        literal: the printed sum over the batch instead of the smoothed relative mean; it makes the weights
            NaN at the first step whenever student and teacher start equal. To show that, not to use.
    """

    def layers(f: Forwards) -> Mapping[int, tuple[Tensor, Tensor]]:
        s, t = f.student(CLEAN, f.taps), f.teacher(teacher, CLEAN, f.taps)
        return {k: (pooled(s.hidden[k], s.mask), pooled(t.hidden[k], t.mask)) for k in f.taps}

    def loss(f: Forwards) -> Tensor:
        measure = literal_norm if literal else relative_deviation
        return torch.stack([measure(*pair) for pair in layers(f).values()]).mean(0)

    return Term(name, loss, weight, of="batch" if literal else "example")
