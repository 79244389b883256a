"""The linear probe: regularised logistic regression on frozen features, the `lp` head of METHODS 1.2."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tether.models.heads import LinearHead

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

# L2 strength on the mean loss, strong to weak, so that each fit starts warm from a smoother one.
STRENGTHS = tuple(10.0**e for e in range(2, -7, -1))


@dataclass(frozen=True)
class Probe:
    """A fitted head with how it was chosen: L2 strength, temperature, and ID-validation NLL in nats."""

    head: LinearHead
    strength: float
    temperature: float
    nll: float


def nll(logits: Floats, labels: Labels) -> float:
    """Mean negative log-likelihood in nats of logits (N, C)."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def fit_probe(
    train: Floats,
    labels: Labels,
    val: Floats,
    val_labels: Labels,
    classes: int,
    max_iter: int = 200,
    intercept: bool = True,
) -> Probe:
    """Standardise, fit for each L2 strength, keep the best ID-validation NLL, calibrate one temperature.

    Args:
        train: features (N, D); `labels` (N,).
        val: ID-validation features (M, D); `val_labels` (M,).
        classes: C; a class without a training row keeps weight 0 and a low bias.
        max_iter: L-BFGS iterations a strength; a fit cut short is still a candidate, judged on validation.
        intercept: False fits weights alone, on features that are scaled but not centred.

    Source: METHODS 1.2 (head recipe).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, std = train.mean(0), train.std(0)
    std = np.where(std > 1e-6 * (np.abs(mean) + 1.0), std, 1.0)  # a constant feature says nothing
    mean = mean if intercept else np.zeros_like(mean)
    x, v = (train - mean) / std, (val - mean) / std
    model = LogisticRegression(max_iter=max_iter, warm_start=True, tol=1e-5, fit_intercept=intercept)
    best: tuple[float, float, Floats, Floats] | None = None
    worse = 0
    for strength in STRENGTHS:
        model.set_params(C=1.0 / (len(x) * strength))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x, labels)
        weight, bias = _all_classes(model.coef_, model.intercept_, model.classes_, classes)
        bias = bias if intercept else np.zeros(classes)
        score = nll(v @ weight.T + bias, val_labels)
        if best is None or score < best[0]:
            best, worse = (score, strength, weight, bias), 0
        else:
            worse += 1
        if worse == 2:  # validation turned: weaker regularisation only overfits more
            break
    assert best is not None
    _, strength, weight, bias = best
    temperature = fit_temperature(v @ weight.T + bias, val_labels)
    head = LinearHead(train.shape[1], classes, bias=intercept)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight / temperature))
        head.bias.copy_(torch.from_numpy(bias / temperature))
        head.mean.copy_(torch.from_numpy(mean))
        head.std.copy_(torch.from_numpy(std))
    return Probe(head, strength, temperature, nll((v @ weight.T + bias) / temperature, val_labels))


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The one scalar T in [1/20, 20] that minimises the NLL of logits / T."""
    found = minimize_scalar(lambda t: nll(logits / np.exp(t), labels), bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x))


def _all_classes(coef: Floats, intercept: Floats, seen: Labels, classes: int) -> tuple[Floats, Floats]:
    """Weights (C, D) and bias (C,); two-class regressions come as one row and are opened up."""
    if coef.shape[0] == 1 and len(seen) == 2:
        coef, intercept = np.vstack([-coef / 2, coef / 2]), np.hstack([-intercept / 2, intercept / 2])
    weight, bias = np.zeros((classes, coef.shape[1])), np.full(classes, intercept.min() - 10.0)
    weight[seen], bias[seen] = coef, intercept
    return weight, bias
