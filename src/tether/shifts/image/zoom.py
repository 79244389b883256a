"""Zoom blur: the camera moves closer while it looks (METHODS section 5.1)."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift


def needed(size: int, factor: float) -> int:
    """How many pixels of a row fill `size` pixels once enlarged."""
    return math.ceil(size / factor)


def enlarge(x: Tensor, factor: float, high: int, wide: int) -> Tensor:
    """Enlarge bilinearly, corner pixels onto corner pixels as in scipy, and cut out the middle.

    Args:
        x: (B, C, h, w) with h, w = `needed`(high, factor), `needed`(wide, factor).
        factor: >= 1.
        high: wanted height.
        wide: wanted width.

    Returns:
        (B, C, high, wide).
    """
    size = [round(n * factor) for n in x.shape[2:]]  # a little larger than wanted, never smaller
    large = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    return large[:, :, top : top + high, left : left + wide]


def zoom_factors(count: int, step: float) -> list[float]:
    """1, 1 + step, ...; rounded as NumPy's arange rounds, since `needed` jumps at whole numbers."""
    return [1 + k * ((1 + step) - 1) for k in range(count)]


def _zoom(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """The mean of the picture and its enlarged middles; factor 1 is among them, so it counts twice."""
    high, wide = x.shape[2:]
    factors = zoom_factors(*tables.ZOOM_BLUR.at(x, severity))
    out = x * 2
    for factor in factors[1:]:
        tall, broad = needed(high, factor), needed(wide, factor)
        top, left = (high - tall) // 2, (wide - broad) // 2
        out += enlarge(x[:, :, top : top + tall, left : left + broad], factor, high, wide)
    return out / (len(factors) + 1)


SHIFTS = (Shift("zoom_blur", "blur", "image", "the mean of ever larger middles", on_pixels(in_parts(_zoom))),)
