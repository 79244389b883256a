"""One temperature from ID validation, for the calibrated variant of ECE and NLL (METHODS 1.12)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from tether.evaluation.metrics import Array, Floats, nll

# A temperature outside says that the model is not miscalibrated but wrong.
_SMALLEST, _LARGEST = 0.05, 20.0


def tempered(probabilities: Array, temperature: float) -> Floats:
    """softmax(log p / T), (N, C): what dividing the logits by T would have given. A 0 stays 0.

    Example:
        >>> tempered(np.array([[0.8, 0.2]]), 1.0)
        array([[0.8, 0.2]])
    """
    p: Floats = np.asarray(probabilities, dtype=np.float64)
    p = np.asarray(p / p.max(axis=1, keepdims=True))  # so that a small T does not underflow everything
    np.power(p, 1.0 / temperature, out=p)
    p /= p.sum(axis=1, keepdims=True)
    return p


def fit_temperature(probabilities: Array, labels: Array) -> float:
    """The T in [0.05, 20] of least NLL (Guo et al. 2017); fit it on validation, never on a test set.

    Example:
        >>> sure = np.tile([0.99, 0.01], (100, 1))
        >>> fit_temperature(sure, np.arange(100) % 4 == 0) > 1  # right three times in four: too sure
        True
    """
    found = minimize_scalar(
        lambda log_t: nll(tempered(probabilities, float(np.exp(log_t))), labels),
        bounds=(np.log(_SMALLEST), np.log(_LARGEST)),
        method="bounded",
    )
    return float(np.exp(found.x))
