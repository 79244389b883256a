"""TRADES: the prediction on a picture and on its adversarial neighbour agree (Zhang et al. 2019)."""

from __future__ import annotations

from tether.methods.method import Method
from tether.objective import ce, consistency
from tether.shifts import either
from tether.tune import full


def trades(
    beta: float = 1.0,
    eps: float = 0.031,
    steps: int = 10,
    step_size: float = 0.003,
    start: float = 0.001,
    text_eps: float = 0.02,
) -> Method:
    """Full fine-tuning with CE(x) + beta KL(p(x) || p(x_adv)), both sides trained (METHODS 6, `trades`).

    x_adv climbs that KL inside eps (linf, pixels in [0, 1]) with the published settings. Texts, which the
    paper does not have, move in embedding space, within a share of their norm, in as many steps. Departures:
    of the points passed the best is kept, and dropout stays off.

    Args:
        beta: 1 as in the authors' code; 6 is common on CIFAR-10.
        eps: of pictures.
        steps: K; a step costs K forwards and backwards more.
        step_size: of pictures; .007 in published CIFAR runs.
        start: deviation of the normal start, of pictures.
        text_eps: of texts, a share of the norm of their embeddings.
    """
    adversarial = either(
        {
            "name": "adv_divergence", "mode": "consistency", "eps": eps, "steps": steps,
            "step_size": step_size, "start": start,
        },
        {"name": "adv_embedding", "mode": "consistency", "eps": text_eps, "steps": steps},
        severities=(3,),
    )  # fmt: skip
    return Method(
        tuning=full(),
        terms=(ce(), consistency(beta, "adversarial")),
        views={"adversarial": adversarial},
    )
