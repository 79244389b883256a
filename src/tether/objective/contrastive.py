"""FLYP's loss: pictures and the prompts of their classes, matched within the batch (Goyal et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.batch import NO_LABEL
from tether.models.matching import symmetric_info_nce
from tether.models.model import MAIN
from tether.objective.forwards import CLEAN, Forwards
from tether.objective.terms import Term


def info_nce(logits: Tensor, labels: Tensor, positives: bool = False) -> Tensor:
    """Symmetric InfoNCE of N pictures and their N captions, a scalar in nats (METHODS 6, flyp).

    The caption of a picture is its class's prompt, so that the score of picture i and caption j is the logit
    of picture i for the class of picture j.

    Args:
        logits: scale * cosine of pictures and class prompts, (N, C).
        labels: (N,); a picture without a label has no caption and is left out.
        positives: the captions of all pictures of its class are right for a picture, their probabilities
            added, -log sum p. Else only its own is, and the equal ones of its class mates are negatives, as
            published (`symmetric_info_nce`).

    Returns:
        The mean of both directions; 0 where no picture has a label. With n pictures, all of one class, at
        least log n as published, and 0 with `positives`.

    Example:
        >>> round(float(info_nce(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))), 4)
        1.3863
    """
    kept = labels != NO_LABEL
    logits, labels = logits.float()[kept], labels[kept]
    if len(labels) == 0:
        return logits.sum() * 0.0
    pairs = logits[:, labels]  # (N, N), pictures x captions
    if not positives:
        return symmetric_info_nce(pairs)
    others = labels[:, None] != labels[None, :]
    both = [p.log_softmax(1).masked_fill(others, -torch.inf).logsumexp(1) for p in (pairs, pairs.T)]
    return -(both[0].mean() + both[1].mean()) / 2


def contrastive(
    weight: float = 1.0, positives: bool = False, view: str = CLEAN, name: str = "contrastive"
) -> Term:
    """`info_nce` of the student's main head; a statistic of the batch, whose members are the negatives."""

    def loss(f: Forwards) -> Tensor:
        return info_nce(f.student(view).logits[MAIN], f.batch(view).y, positives)

    return Term(name, loss, weight, of="batch", needs_label=(view,))
