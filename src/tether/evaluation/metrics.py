"""Metrics over predicted probabilities: a score per example first, a mean last.

Shapes: probabilities (N, C) with rows summing to 1, labels (N,) in 0..C-1. Everything is numpy, so that a
stored prediction file is enough to recompute any number of a report.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from tether.errors import RequestError

Floats = NDArray[np.float64]
Array = NDArray[Any]

# Below this a probability is rounding, not belief; the logarithm stays finite.
SMALLEST_PROBABILITY = 1e-12


def _checked(probabilities: Array, labels: Array) -> tuple[Floats, NDArray[np.int64]]:
    """The two arrays in working precision, or an error that names what does not fit."""
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(labels).astype(np.int64)
    if p.ndim != 2 or y.shape != p.shape[:1]:
        raise RequestError(
            f"metrics: expected probabilities (N, C) and labels (N,), got {p.shape} and {y.shape}; "
            "pass one row of class probabilities for each label"
        )
    if len(y) == 0:
        raise RequestError("metrics: expected at least one example, got none; check the evaluation set")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise RequestError(
            f"metrics: expected labels in 0..{p.shape[1] - 1}, got {y.min()}..{y.max()}; "
            "leave unlabelled examples out and check the class list"
        )
    return p, y


def correct(probabilities: Array, labels: Array) -> Floats:
    """1.0 where the most probable class is the label, else 0.0; shape (N,). Ties go to the lower class.

    Example:
        >>> correct(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
        array([1., 0.])
    """
    p, y = _checked(probabilities, labels)
    return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)


def accuracy(probabilities: Array, labels: Array) -> float:
    """Share of correct examples, in [0, 1]."""
    return float(correct(probabilities, labels).mean())


def balanced_accuracy(probabilities: Array, labels: Array) -> float:
    """Mean recall over the classes that occur among the labels, in [0, 1]."""
    p, y = _checked(probabilities, labels)
    there = np.bincount(y)
    right = np.bincount(y, weights=correct(p, y))
    return float(np.mean(right[there > 0] / there[there > 0]))


def macro_f1(probabilities: Array, labels: Array) -> float:
    """Unweighted mean of each class's F1, over the classes that were labelled or predicted."""
    p, y = _checked(probabilities, labels)
    guess, classes = p.argmax(axis=1), p.shape[1]
    both = np.bincount(y[guess == y], minlength=classes)
    total = np.bincount(y, minlength=classes) + np.bincount(guess, minlength=classes)
    return float(np.mean(2.0 * both[total > 0] / total[total > 0]))


def nll_per_example(probabilities: Array, labels: Array) -> Floats:
    """Negative log-likelihood of each label in nats, (N,)."""
    p, y = _checked(probabilities, labels)
    return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y], SMALLEST_PROBABILITY)))


def nll(probabilities: Array, labels: Array) -> float:
    """Mean negative log-likelihood in nats."""
    return float(nll_per_example(probabilities, labels).mean())


def brier_per_example(probabilities: Array, labels: Array) -> Floats:
    """Squared distance of the probabilities from the one-hot label, summed over classes; (N,) in [0, 2]."""
    p, y = _checked(probabilities, labels)
    # Expanded, so that a thousand classes need no one-hot matrix and no square of all probabilities.
    return np.asarray(np.einsum("nc,nc->n", p, p) - 2.0 * p[np.arange(len(y)), y] + 1.0)


def brier(probabilities: Array, labels: Array) -> float:
    """Mean multi-class Brier score, in [0, 2]."""
    return float(brier_per_example(probabilities, labels).mean())


def confidence_bins(confidence: Floats, bins: int) -> NDArray[np.int64]:
    """Which bin each confidence falls into: of equal width, closed on the right, (0, 1/B], (1/B, 2/B], ..."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def ece(probabilities: Array, labels: Array, bins: int = 15) -> float:
    """Expected calibration error of the top class, METHODS 1.12: sum_b n_b/N |accuracy_b - confidence_b|.

    Bins have equal width and are closed on the right, (0, 1/15], (1/15, 2/15], ...; an empty one adds 0.
    """
    p, y = _checked(probabilities, labels)
    confidence = p.max(axis=1)
    hit = correct(p, y)
    which = confidence_bins(confidence, bins)
    # |sum of (hit - confidence)| is n_b |accuracy_b - confidence_b|, so the sizes cancel.
    distance = np.abs(np.bincount(which, weights=hit - confidence, minlength=bins))
    return float(distance.sum() / len(y))


@overload
def robustness_gap(id_score: float, ood_score: float) -> float: ...
@overload
def robustness_gap(id_score: Floats, ood_score: Floats) -> Floats: ...
def robustness_gap(id_score: float | Floats, ood_score: float | Floats) -> float | Floats:
    """RG = 1 - OOD/ID as a fraction (METHODS 1.12); elementwise on arrays.

    NaN where ID <= 0. Negative where the shifted data is easier, and never clipped. RG falls when ID falls,
    so show it only beside both scores, and give it only scores of which higher is better.

    Example:
        >>> robustness_gap(0.8, 0.4), robustness_gap(0.8, 0.9)
        (0.5, -0.125)
    """
    return _gap(id_score, ood_score, 0.0)


@overload
def robustness_gap_chance(id_score: float, ood_score: float, chance: float) -> float: ...
@overload
def robustness_gap_chance(id_score: Floats, ood_score: Floats, chance: float) -> Floats: ...
def robustness_gap_chance(
    id_score: float | Floats, ood_score: float | Floats, chance: float
) -> float | Floats:
    """RG_c = 1 - (OOD - chance)/(ID - chance) (METHODS 1.12): 1 means the shift left nothing but guessing.

    NaN where ID <= chance.
    """
    return _gap(id_score, ood_score, chance)


def relative_reduction(gap: Floats, reference: Floats, smallest: float = 0.01) -> Floats:
    """RRG = (RG_ref - RG)/RG_ref elementwise (METHODS 1.12); NaN ("n/a") where RG_ref <= `smallest`.

    Example:
        >>> relative_reduction(np.array([0.15, 0.1]), np.array([0.2, 0.01])).round(2)
        array([0.25,  nan])
    """
    gap, reference = np.asarray(gap, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    out = np.full(np.broadcast(gap, reference).shape, np.nan)
    np.divide(reference - gap, reference, out=out, where=reference > smallest)
    return out


def _gap(id_score: float | Floats, ood_score: float | Floats, chance: float) -> float | Floats:
    above = np.asarray(id_score, dtype=np.float64) - chance
    ratio = np.full(above.shape, np.nan)
    np.divide(np.asarray(ood_score, dtype=np.float64) - chance, above, out=ratio, where=above > 0)
    gap: Floats = np.asarray(1.0 - ratio)
    return float(gap) if gap.ndim == 0 else gap
