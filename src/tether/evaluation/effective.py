"""Effective robustness: OOD accuracy beyond what ID accuracy promises (Taori et al. 2020, METHODS 1.12).

On models that were trained in the ordinary way, logit(OOD) is close to a line in logit(ID). How far a model
lies above that line is its effective robustness rho. Accuracies, not other scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from tether.evaluation.metrics import Array, Floats

FEWEST_REFERENCES = 8
# With all references at one ID accuracy a line through them has any slope. Our choice; METHODS has no number.
SMALLEST_SPREAD = 0.05


@dataclass(frozen=True)
class Line:
    """logit(OOD) = slope logit(ID) + intercept.

    Attributes:
        slope: NaN where nothing was fitted, like the intercept.
        intercept: in logits.
        lowest: ID accuracy of the weakest reference.
        highest: of the best one.
        references: how many models it was fitted on.
        n: examples of the ID set and of the OOD sets, which bound how near to 0 or 1 a share may be.
        reason: why there is no line; "" where there is one.
    """

    slope: float
    intercept: float
    lowest: float
    highest: float
    references: int
    n: tuple[int, int]
    reason: str = ""

    @property
    def fitted(self) -> bool:
        """Whether there is a line."""
        return not self.reason

    def expected(self, id_accuracy: float) -> float:
        """OOD accuracy that an ordinary model of this ID accuracy has; NaN without a line."""
        return float(expit(self.slope * logit(_clip(id_accuracy, self.n[0])) + self.intercept))

    def extrapolates(self, id_accuracy: float) -> bool:
        """Whether no reference is as weak, or as good, as that."""
        return not self.lowest <= id_accuracy <= self.highest


def fit_line(id_accuracy: Sequence[float], ood_accuracy: Sequence[float], n: tuple[int, int]) -> Line:
    """Least squares over the reference models' logits.

    Args:
        id_accuracy: of each reference model.
        ood_accuracy: of the same models.
        n: examples behind an ID and an OOD accuracy; accuracies are kept within [0.5/n, 1 - 0.5/n].

    Returns:
        A line, or one with a `reason`: fewer than 8 references, or all within 5 points of ID accuracy.
    """
    x, y = np.asarray(id_accuracy, dtype=np.float64), np.asarray(ood_accuracy, dtype=np.float64)
    low, high = (float(x.min()), float(x.max())) if len(x) else (float("nan"), float("nan"))
    reason = ""
    if len(x) < FEWEST_REFERENCES:
        reason = f"not fitted: {len(x)} reference models, at least {FEWEST_REFERENCES} are needed"
    elif high - low < SMALLEST_SPREAD:
        reason = (
            f"not fitted: the references' ID accuracies span {100 * (high - low):.1f} points, "
            f"at least {100 * SMALLEST_SPREAD:.0f} are needed"
        )
    elif not np.isfinite(y).all():
        reason = "not fitted: a reference has no OOD accuracy"
    if reason:
        return Line(float("nan"), float("nan"), low, high, len(x), n, reason)
    slopes, intercepts = fit_lines(x[None], y[None], n)
    return Line(float(slopes[0]), float(intercepts[0]), low, high, len(x), n)


def fit_lines(id_accuracy: Array, ood_accuracy: Array, n: tuple[int, int]) -> tuple[Floats, Floats]:
    """Slopes and intercepts, (R,) each, of R fits over (R, M) models: one for each resample."""
    x, y = logit(_clip(id_accuracy, n[0])), logit(_clip(ood_accuracy, n[1]))
    dx = x - x.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = (dx * y).sum(axis=1) / (dx**2).sum(axis=1)
    return np.asarray(slopes), np.asarray(y.mean(axis=1) - slopes * x.mean(axis=1))


def effective_robustness(
    id_accuracy: Array, ood_accuracy: Array, slope: Array, intercept: Array, n: tuple[int, int]
) -> Floats:
    """The rho = OOD - sigmoid(slope logit(ID) + intercept), elementwise; 0 on the line.

    Example:
        >>> effective_robustness(np.array([0.5]), np.array([0.6]), 1.0, 0.0, (100, 100)).round(3)
        array([0.1])
    """
    return np.asarray(ood_accuracy - expit(slope * logit(_clip(id_accuracy, n[0])) + intercept))


def _clip(share: Array | float, n: int) -> Floats:
    return np.clip(np.asarray(share, dtype=np.float64), 0.5 / n, 1 - 0.5 / n)
