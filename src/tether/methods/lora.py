"""LoRA with cross-entropy: RDFT's student without its teachers."""

from __future__ import annotations

from tether import tune
from tether.methods.method import Method
from tether.objective import ce


def lora(
    rank: int = 8, lora_alpha: float = 16.0, dropout: float = 0.0, variant: tune.Variant = "lora"
) -> Method:
    """Low-rank adapters and a head that starts from the linear probe (METHODS 1.1 and 6).

    Args:
        rank: of the adapters.
        lora_alpha: over rank, their scale.
        dropout: on their input.
        variant: "lora", "rslora", "dora", "pissa" or "ia3" (see `tune.lora`).
    """
    return Method(tuning=tune.lora(rank, lora_alpha, dropout, variant=variant), terms=(ce(),))
