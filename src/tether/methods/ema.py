"""EMA: full fine-tuning, of which a moving average of the weights is kept."""

from __future__ import annotations

from tether.finish import average
from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def ema(decay: float = 0.999) -> Method:
    """LP-FT whose result is the exponential moving average of its weights (METHODS 6).

    Corrected for its start: in a run shorter than 1 / (1 - decay) steps it is close to their plain mean.

    Args:
        decay: per step, in [0, 1).
    """
    return Method(tuning=full(), terms=(ce(),), average=average.ema(decay))
