"""The student against itself on a changed input: the loss of TRADES and of VAT."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.models.model import MAIN
from tether.objective.divergences import kl
from tether.objective.forwards import CLEAN, Forwards
from tether.objective.terms import Term, Views, listed


def consistency(
    weight: float = 1.0,
    view: Views = "adversarial",
    detach: bool = False,
    head: str = MAIN,
    name: str = "consistency",
) -> Term:
    """KL(p(x) || p(x~)), both of the student, averaged over the views (METHODS 6, trades and vat).

    It asks for no label.

    Args:
        weight: beta.
        view: x~.
        detach: p(x) is a constant, as in VAT; else the gradient passes both, as in TRADES.
    """
    views = listed(view)

    def loss(f: Forwards) -> Tensor:
        aim = F.log_softmax(f.student(CLEAN).logits[head].float(), dim=-1)
        aim = aim.detach() if detach else aim
        return torch.stack(
            [kl(aim, F.log_softmax(f.student(v).logits[head].float(), dim=-1)) for v in views]
        ).mean(0)

    return Term(name, loss, weight)
