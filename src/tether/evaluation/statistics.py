"""Intervals in closed form, and the correction for asking many questions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tether.errors import RequestError


@dataclass(frozen=True)
class Interval:
    """A value with its 95% interval, in the unit of the value. NaN means that it could not be measured.

    Example:
        >>> Interval(0.4, 0.1, 0.7).excludes_zero
        True
    """

    value: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether value and both ends are numbers."""
        return bool(np.isfinite([self.value, self.low, self.high]).all())

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; False when it is not known."""
        return self.known and (self.low > 0 or self.high < 0)


UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


def wilson(hits: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share: sound for few examples and near 0 or 1, where +-2 se is not.

    Example:
        >>> round(wilson(10, 10).low, 3)
        0.722
    """
    if n <= 0 or not 0 <= hits <= n:
        raise RequestError(f"wilson: expected 0 <= hits <= n and n > 0, got {hits} of {n}; count again")
    z = float(stats.norm.ppf(0.5 + level / 2))
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Rounding alone may put an end outside [0, 1] when every or no example is a hit.
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def t_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds with Student's t interval; the ends are NaN with fewer than two values.

    Example:
        >>> t_interval([0.5, 0.7]).value
        0.6
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) == 0:
        return UNKNOWN
    mean = float(x.mean())
    if len(x) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(stats.t.ppf(0.5 + level / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the given order; NaN stays NaN and is not counted as a question.

    Source: Holm (1979). The smallest p times m, the next times m - 1, ...; never decreasing, at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    out: NDArray[np.float64] = np.full(p.shape, np.nan)
    asked = np.flatnonzero(~np.isnan(p))
    order = asked[np.argsort(p[asked], kind="stable")]
    scaled = p[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(v) for v in out]
