"""WiSE-FT: interpolate between the initial and the fine-tuned weights (Wortsman et al. 2022)."""

from __future__ import annotations

from typing import Literal

from tether import tune
from tether.finish import merge
from tether.methods.method import Method
from tether.objective import ce


def wise_ft(
    alpha: float | Literal["auto"] = 0.5, variant: Literal["end_to_end", "linear"] = "end_to_end"
) -> Method:
    """LP-FT, end to end or of the classifier alone, then theta = (1 - alpha) theta_0 + alpha theta.

    Args:
        alpha: 0.5 is the paper's advice without OOD validation; "auto" chooses on validation (METHODS 1.11).
        variant: "linear" trains and interpolates the classifier on frozen features. It says most where the
            head starts zero-shot; from the probe the start is near its end already.
    """
    tuning = tune.heads() if variant == "linear" else tune.full()
    return Method(tuning=tuning, terms=(ce(),), finish=merge(alpha))
