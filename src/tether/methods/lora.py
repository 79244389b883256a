"""LoRA with cross-entropy: RDFT's student without its teachers."""

from __future__ import annotations

from tether import tune
from tether.methods.method import Method
from tether.methods.student import HeadStart
from tether.objective import ce


def lora(
    rank: int = 8,
    lora_alpha: float = 16.0,
    dropout: float = 0.0,
    variant: tune.Variant = "lora",
    start: HeadStart = "auto",
) -> Method:
    """Low-rank adapters and a head, by default from the linear probe (METHODS 1.1 and 6).

    Args:
        rank: of the adapters.
        lora_alpha: over rank, their scale.
        dropout: on their input.
        variant: "lora", "rslora", "dora", "pissa" or "ia3" (see `tune.lora`).
        start: the student's head at step 0: "auto" takes one that the model brings for these classes, else a
            random one; "probe" fits a linear probe where it brings none.
    """
    return Method(tuning=tune.lora(rank, lora_alpha, dropout, variant=variant), terms=(ce(),), start=start)
