"""LP-FT: probe first, then fine-tune everything from that head (Kumar et al. 2022)."""

from __future__ import annotations

from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def lp_ft(label_smoothing: float = 0.0) -> Method:
    """A random head's early gradients distort the features; a fitted one's do not (METHODS 6).

    Args:
        label_smoothing: as `finetune`'s.
    """
    return Method(tuning=full(), terms=(ce(smoothing=label_smoothing),))
