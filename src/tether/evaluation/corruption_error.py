"""Corruption error: the error under each corruption over a reference model's (METHODS 1.12).

mCE is ImageNet-C's number, with AlexNet's errors below the line; it is defined for its 15 corruptions at 5
severities, 1000 classes and 224 pixels, and for nothing else. Elsewhere the same ratio against another
reference model is called nCE. All errors go by the corruption's name, never by its place in a list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from tether.errors import RequestError

# AlexNet's error under each corruption, mean over the five severities. Source: METHODS 1.12.
ALEXNET: Mapping[str, float] = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}
ALEXNET_CLEAN = 0.435  # from the literature, not checked again (METHODS section 9)
SEVERITIES = (1, 2, 3, 4, 5)
CLASSES, SIDE = 1000, 224

Errors = Mapping[str, Mapping[int, float]]  # corruption -> severity -> error in [0, 1]


def why_no_mce(tested: Mapping[str, Collection[int]], classes: int, side: int | None) -> str:
    """Why mCE is not defined here, in words; "" where it is.

    Args:
        tested: corruption -> severities it was tested at; others than the 15 do no harm and do not count.
        classes: of the task.
        side: of the pictures, in pixels; None for texts.

    Example:
        >>> why_no_mce({}, 10, 64)
        'mCE needs 1000 classes, this task has 10'
    """
    if classes != CLASSES:
        return f"mCE needs {CLASSES} classes, this task has {classes}"
    if side != SIDE:
        return f"mCE needs pictures of {SIDE} pixels, these have {side}"
    if missing := [name for name in ALEXNET if name not in tested]:
        also = "; frost_proc is our own frost and no part of mCE" if "frost" in missing else ""
        return f"mCE needs all 15 corruptions, {', '.join(missing)} missing{also}"
    short = [name for name in ALEXNET if not set(SEVERITIES) <= set(tested[name])]
    return f"mCE needs severities 1 to 5, not all tested of {', '.join(short)}" if short else ""


def corruption_errors(errors: Errors, reference: Errors) -> dict[str, float]:
    """CE_c = sum_s E_{s,c} / sum_s E_ref_{s,c} over the severities that both have; NaN where E_ref is 0.

    Raises:
        RequestError: when a corruption has no severity in common with the reference's.

    Example:
        >>> corruption_errors({"fog": {1: 0.1, 3: 0.3}}, {"fog": {1: 0.2, 3: 0.6}})
        {'fog': 0.5}
    """
    return {name: _ratio(name, errors, reference, 0.0, 0.0) for name in errors}


def relative_corruption_errors(
    errors: Errors, clean: float, reference: Errors, reference_clean: float
) -> dict[str, float]:
    """sum_s (E_{s,c} - E_clean) / sum_s (E_ref_{s,c} - E_ref_clean); negative where a corruption helps.

    NaN where the reference loses nothing, or gains: a share of that loss has no meaning.
    """
    return {name: _ratio(name, errors, reference, clean, reference_clean) for name in errors}


def alexnet_errors() -> Errors:
    """AlexNet's errors as errors at severities 1 to 5; only their mean is known, and only it counts."""
    return {name: dict.fromkeys(SEVERITIES, error) for name, error in ALEXNET.items()}


def mce(errors: Errors, classes: int, side: int | None) -> float:
    """The mCE in percent: 100 x mean CE over the 15 corruptions, against AlexNet; AlexNet itself has 100.

    Raises:
        RequestError: where mCE is not defined, with the reason (`why_no_mce`).
    """
    of15 = _only_defined(errors, classes, side)
    return 100 * float(np.mean(list(corruption_errors(of15, alexnet_errors()).values())))


def relative_mce(errors: Errors, clean: float, classes: int, side: int | None) -> float:
    """Relative mCE in percent: as `mce`, of the errors beyond the clean one.

    Raises:
        RequestError: where mCE is not defined.
    """
    of15 = _only_defined(errors, classes, side)
    found = relative_corruption_errors(of15, clean, alexnet_errors(), ALEXNET_CLEAN)
    return 100 * float(np.mean(list(found.values())))


def _only_defined(errors: Errors, classes: int, side: int | None) -> Errors:
    if reason := why_no_mce(errors, classes, side):
        raise RequestError(f"{reason}; use nCE against a reference model of your own")
    return {name: {s: errors[name][s] for s in SEVERITIES} for name in ALEXNET}


def _ratio(name: str, errors: Errors, reference: Errors, clean: float, reference_clean: float) -> float:
    both = sorted(set(errors[name]) & set(reference.get(name, {})))
    if not both:
        raise RequestError(
            f"corruption error: the reference was not tested under {name} at any of the severities "
            f"{', '.join(map(str, errors[name]))}; evaluate both with one configuration"
        )
    above = sum(errors[name][s] - clean for s in both)
    below = sum(reference[name][s] - reference_clean for s in both)
    return float(above / below) if below > 0 else float("nan")
