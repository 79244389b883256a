"""L2-SP: fine-tuning with a penalty on the distance from the initial weights (Li et al. 2018)."""

from __future__ import annotations

from typing import Literal

from tether import tune
from tether.methods.method import Method
from tether.objective import ce, near_start, small_head


def l2_sp(
    a: float = 0.1,
    b: float = 0.01,
    tuning: Literal["full", "lora"] = "full",
    rank: int = 8,
    lora_alpha: float = 16.0,
) -> Method:
    """CE + a/2 ||w - w_0||^2 + b/2 ||w_head||^2, plain weight decay off (METHODS 6).

    The first norm is the backbone's; with LoRA it is that of s B A. The second leaves biases and the logit
    scale of a zero-shot head alone. The head starts from the probe, which the paper, with a new head, does
    not have.

    Args:
        a: 1e-3 to 1.
        b: of the head.
        tuning: "full" or "lora".
        rank: of the adapters.
        lora_alpha: over rank, their scale.
    """
    return Method(
        tuning=tune.lora(rank, lora_alpha) if tuning == "lora" else tune.full(),
        terms=(ce(), near_start(a), small_head(b)),
        weight_decay=0.0,
    )
