"""Labels softened by the initial model where it is right: SDFT's classification analogue (METHODS 6)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.batch import NO_LABEL
from tether.models.model import MAIN
from tether.objective.forwards import CLEAN, Forwards
from tether.objective.terms import Term


def rewritten(labels: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Y' = (1 - w) onehot(y) + w p_0 where argmax p_0 = y, else onehot(y); (B, C), rows sum to 1.

    Args:
        labels: (B,); a row without a label (-100) is all zeros.
        teacher: the initial model's logits, (B, C).
        share: w in [0, 1].

    Example:
        >>> rewritten(torch.tensor([0, 1]), torch.tensor([[9.0, 0.0], [9.0, 0.0]]), 0.5)[1]
        tensor([0., 1.])
    """
    p = torch.softmax(teacher.detach().float(), -1)
    known = labels != NO_LABEL
    onehot = F.one_hot(labels.clamp_min(0), p.shape[-1]).float() * known[:, None]
    agrees = (p.argmax(-1) == labels)[:, None]
    return torch.where(agrees, (1.0 - share) * onehot + share * p, onehot)


def self_distilled(
    share: float = 0.5, teacher: str = "initial", weight: float = 1.0, name: str = "ce_rewritten"
) -> Term:
    """Cross-entropy with rewritten labels on the clean view; 0 for a sample without a label."""

    def loss(f: Forwards) -> Tensor:
        aim = rewritten(f.batch(CLEAN).y, f.teacher(teacher).logits[MAIN], share)
        return -(aim * F.log_softmax(f.student().logits[MAIN].float(), -1)).sum(-1)

    return Term(name, loss, weight, needs_label=(CLEAN,))
