"""LoRA with cross-entropy: RDFT's student without its teachers."""

from __future__ import annotations

from tether import tune
from tether.methods.method import Method
from tether.methods.student import HeadStart, Targets
from tether.objective import ce


def lora(
    rank: int = 8,
    lora_alpha: float = 16.0,
    dropout: float = 0.0,
    variant: tune.Variant = "lora",
    targets: Targets = "all",
    start: HeadStart = "auto",
) -> Method:
    """Low-rank adapters and a head (METHODS 1.1 and 6).

    Args:
        rank: of the adapters.
        lora_alpha: over rank, their scale.
        dropout: on their input.
        variant: "lora", "rslora", "dora", "pissa" or "ia3" (see `tune.lora`).
        targets: layers with one: "all", "qv", "upper" (half of the blocks), or ends of module names.
        start: the student's head at step 0: "auto" takes one that the model brings for these classes, else a
            random one; "probe" fits a linear probe where it brings none.
    """
    tuning = tune.lora(rank, lora_alpha, dropout, True, targets, variant)
    return Method(tuning=tuning, terms=(ce(),), start=start)
