"""Linear probe: logistic regression on frozen features; this is also M_0 with its `lp` head."""

from __future__ import annotations

from tether.methods.method import Method
from tether.tune import nothing


def linear_probe() -> Method:
    """Nothing trains after the logistic regression (METHODS 1.2 and 6)."""
    return Method(tuning=nothing())
