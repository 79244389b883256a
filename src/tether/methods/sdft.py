"""SDFT's analogue for classification: labels rewritten by the initial model (Yang et al. 2024)."""

from __future__ import annotations

from tether import tune
from tether.errors import RequestError
from tether.methods.method import Initial, Method
from tether.objective import self_distilled


def sdft(share: float = 0.5, rank: int = 8, lora_alpha: float = 16.0) -> Method:
    """LoRA on y' = (1 - w) onehot(y) + w p_0(x) where argmax p_0 = y, else onehot(y) (METHODS 6).

    The paper's model rewrites a text response, and the original stands where the rewrite's answer is
    wrong; a label has no other wording than the initial model's probabilities.

    Args:
        share: w.
        rank: of the LoRA student.
        lora_alpha: over rank, the adapters' scale.
    """
    if not 0.0 <= share <= 1.0:
        raise RequestError(f"method.share: expected a number in [0, 1], got {share}; try 0.5")
    return Method(
        tuning=tune.lora(rank, lora_alpha),
        terms=(self_distilled(share),),
        teachers={"initial": Initial()},
    )
