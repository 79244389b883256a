"""VAT: predictions stay put in the direction in which they would change most (Miyato et al. 2018)."""

from __future__ import annotations

from tether.methods.method import Method
from tether.objective import ce, consistency
from tether.shifts import either
from tether.tune import full


def vat(weight: float = 1.0, eps: float = 0.5, xi: float = 0.1, text_eps: float = 0.02) -> Method:
    """Full fine-tuning with CE(x) + weight KL(sg p(x) || p(x + r)), r by power iteration (METHODS 6, `vat`).

    r is the gradient of that KL a little off x, scaled to eps in L2. The second term needs no label.
    Departures: pictures stay in [0, 1]; texts, which the paper does not have here, move in embedding space.

    Args:
        weight: of the second term.
        eps: L2 length of r for pictures, in [0, 1] units (METHODS 1.8 has .5 to 1 at 224 px).
        xi: L2 length of the probing offset.
        text_eps: length of r for texts, a share of the norm of their embeddings.
    """
    adversarial = either(
        {
            "name": "adv_divergence", "mode": "consistency", "search": "power", "norm": "l2", "eps": eps,
            "xi": xi,
        },
        {"name": "adv_embedding", "mode": "consistency", "recipe": "power", "eps": text_eps, "xi": xi},
        severities=(3,),
    )  # fmt: skip
    return Method(
        tuning=full(),
        terms=(ce(), consistency(weight, "adversarial", detach=True)),
        views={"adversarial": adversarial},
    )
