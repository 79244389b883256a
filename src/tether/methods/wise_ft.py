"""WiSE-FT: interpolate between the initial and the fine-tuned weights (Wortsman et al. 2022)."""

from __future__ import annotations

from typing import Literal

from tether.finish import merge
from tether.methods.method import Method
from tether.objective import ce
from tether.tune import full


def wise_ft(alpha: float | Literal["auto"] = 0.5) -> Method:
    """LP-FT end to end, then theta = (1 - alpha) theta_0 + alpha theta.

    Args:
        alpha: 0.5 is the paper's advice without OOD validation; "auto" chooses on validation (METHODS 1.11).
    """
    return Method(tuning=full(), terms=(ce(),), finish=merge(alpha))
