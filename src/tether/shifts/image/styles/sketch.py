"""Sketch: outlines over a wash of colour that fades to paper (METHODS section 5.2, styles)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image.luma import luma
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

# How black the darkest line is, and how far the colour under the lines has faded to white. Fading alone is
# lower contrast, a test corruption; the lines come first, so no view is that.
_INK = (0.5, 0.7, 0.85, 0.95, 1.0)
_FADED = (0.0, 0.25, 0.5, 0.75, 1.0)
_SMOOTHED_PER = 75  # px of the shorter side per pass of smoothing: a line is as fine as the picture allows
_DARK = 3.0  # a slope this many times the picture's mean slope gets three quarters of the ink
_FAINTEST = 0.01  # of a mean slope; below it a picture counts as flat, and its noise is not drawn


def _along(x: Tensor, weights: Sequence[float], axis: int) -> Tensor:
    """Three-tap filter along an axis (2 or 3), borders repeated."""
    pad = (0, 0, 1, 1) if axis == 2 else (1, 1, 0, 0)
    padded, size = F.pad(x, pad, mode="replicate"), x.shape[axis]
    out = torch.zeros_like(x)
    for i, weight in enumerate(weights):
        if weight:
            out += weight * padded.narrow(axis, i, size)
    return out


def slope(grey: Tensor) -> Tensor:
    """Size of the Sobel gradient, per pixel: (B, 1, H, W) to (B, 1, H, W); 1 on a ramp of 1 a pixel."""
    across = _along(_along(grey, (-0.5, 0.0, 0.5), 3), (0.25, 0.5, 0.25), 2)
    down = _along(_along(grey, (-0.5, 0.0, 0.5), 2), (0.25, 0.5, 0.25), 3)
    return torch.hypot(across, down)


def pencil(x: Tensor) -> Tensor:
    """The picture as a pencil draws it, (B, 1, H, W): white paper, dark where luma changes fast.

    The lines' strength is relative to the picture's own mean slope, so a flat one gets lines as well.
    """
    grey = luma(x)
    for _ in range(round(min(x.shape[-2:]) / _SMOOTHED_PER)):
        grey = _along(_along(grey, (0.25, 0.5, 0.25), 2), (0.25, 0.5, 0.25), 3)
    steep = slope(grey)
    usual = steep.mean(dim=(1, 2, 3), keepdim=True).clamp(min=_FAINTEST)
    return 1 - torch.tanh(steep / (_DARK * usual))


def _sketch(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    faded = torch.lerp(x, torch.ones_like(x), _FADED[severity - 1])
    return faded * (1 - _INK[severity - 1] * (1 - pencil(x)))


SHIFTS = (
    Shift("sketch", "style", "image", "outlines over fading colour", on_pixels(_sketch), default=False),
)
