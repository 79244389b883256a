"""SWA: full fine-tuning with a constant tail, whose epoch ends are averaged (Izmailov et al. 2018)."""

from __future__ import annotations

from tether.finish import average
from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def swa(last: float = 0.25) -> Method:
    """LP-FT whose result is the mean of the epoch ends in the last part, at a constant rate (METHODS 6).

    Batch-norm statistics are not computed anew: here they stay the pretrained ones throughout (METHODS
    1.10), so every averaged model was trained with the same.

    Args:
        last: that part of the steps, in (0, 1].
    """
    return Method(tuning=full(), terms=(ce(),), average=average.swa(last))
