"""The `mlm` teacher head: which word each model would put where one of x~ was masked (METHODS 1.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.models.masked_lm import WordHead
from tether.objective.divergences import kl
from tether.objective.forwards import Forwards
from tether.objective.terms import Term, Views, listed
from tether.shifts.supplies import Supplies

MOST_LIKELY = 256  # of the teacher's words; the others share one bucket


def bucketed(logits: Tensor, top: Tensor) -> Tensor:
    """Log-probabilities of chosen words and, as one more, of all others together.

    Args:
        logits: (M, V).
        top: word ids (M, k), k <= V.

    Returns:
        (M, k + 1), or (M, V) when k = V and no word is left.
    """
    log_p = torch.log_softmax(logits.float(), -1)
    kept = log_p.gather(1, top)
    if top.shape[1] == logits.shape[1]:
        return kept
    rest = log_p.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([kept, rest], 1)


def word_distance(student: Tensor, teacher: Tensor, most: int = MOST_LIKELY) -> Tensor:
    """KL(sg p_0 || p_S) over the teacher's likeliest words and the rest, (M, V), (M, V) -> (M,), in nats."""
    teacher = teacher.detach()
    top = teacher.topk(min(most, teacher.shape[1]), -1).indices
    return kl(bucketed(teacher, top), bucketed(student, top))


def masked_words(
    weight: float = 1.0, view: Views = "masked", teacher: str = "initial", name: str = "robust"
) -> Term:
    """KL between the two models' words at the masked positions of x~, a mean over each sample's positions.

    Both are read through the initial model's own masked-word head, frozen and shared.

    Args:
        view: one, or several to average over: views whose last step is `shifts.masking.mask_words`.
    """
    views = listed(view)

    def unready(f: Forwards) -> Tensor:
        raise RequestError("teacher_head mlm: expected a term that is prepared; call .prepared(supplies)")

    def prepare(supplies: Supplies) -> Term:
        if supplies.word_head is None:
            raise RequestError("teacher_head mlm: expected a model with a masked-word head, got none here")
        words = supplies.word_head()
        return Term(name, lambda f: torch.stack([_one(f, v, teacher, words) for v in views]).mean(0), weight)

    return Term(name, unready, weight, prepare=prepare)


def _one(f: Forwards, view: str, teacher: str, words: WordHead) -> Tensor:
    batch = f.batch(view)
    assert isinstance(batch.x, Tensor)
    places = words.masked(batch.x)  # (B, T)
    if batch.mask is not None:
        places = places & batch.mask
    student = f.student(view, (words.block,)).hidden[words.block]
    original = f.teacher(teacher, view, (words.block,)).hidden[words.block]
    # With several views in one pass a model's states may be padded further than this view's own tokens.
    width = places.shape[1]
    with torch.no_grad():
        target = words(original[:, :width][places])
    away = word_distance(words(student[:, :width][places]), target)  # (M,)
    rows = places.nonzero()[:, 0]
    total = away.new_zeros(len(batch)).index_add(0, rows, away)
    return total / places.sum(1).clamp_min(1)
