"""Plain fine-tuning: the usual baseline, and the reference of every gap reduction."""

from __future__ import annotations

from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def finetune(smoothing: float = 0.0) -> Method:
    """All weights and a random head, cross-entropy (METHODS 6, `ft`).

    Args:
        smoothing: of the labels, e in [0, 1).
    """
    return Method(tuning=full(), terms=(ce(smoothing=smoothing),), start="random")
