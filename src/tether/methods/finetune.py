"""Plain fine-tuning: the usual baseline, and the reference of every gap reduction."""

from __future__ import annotations

from tether.errors import RequestError
from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def finetune(label_smoothing: float = 0.0) -> Method:
    """All weights and a random head, cross-entropy (METHODS 6, `ft`).

    Args:
        label_smoothing: e in [0, 1): the target is (1 - e) onehot(y) + e / C; 0.1 is usual.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise RequestError(
            f"method.label_smoothing: expected at least 0 and below 1, got {label_smoothing}; try 0.1"
        )
    return Method(tuning=full(), terms=(ce(smoothing=label_smoothing),), start="random")
