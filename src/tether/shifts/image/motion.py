"""Motion blur: a picture smeared along a line (METHODS section 5.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.blur import by_spectrum
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_MANY = 12  # steps; of more the sum is cheaper by Fourier transforms


def half_gaussian(radius: int, sigma: float) -> Tensor:
    """Weights exp(-i^2 / (2 sigma^2)) for i = 0 .. 2 radius, summing to 1, (K,) float32.

    The tail that float32 cannot add to the first weight is left out: K is smaller where sigma is.
    """
    at = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (at / sigma) ** 2)
    weights = weights[weights > 2.0**-24]
    return (weights / weights.sum()).float()


def motion_blur(x: Tensor, radius: int, sigma: float, angle: Tensor) -> Tensor:
    """Add up copies of each image, moved step by step along its own line, borders repeated.

    Step i moves by i pixels along the angle, rounded to whole ones, and weighs `half_gaussian`[i]:
    ImageMagick's motion blur, which looks one way only.

    Args:
        x: (B, C, H, W).
        radius: px; the line is 2 * radius + 1 long.
        sigma: px.
        angle: (B,) degrees. At 0 a pixel takes from its right, at 90 from below.

    Returns:
        (B, C, H, W).

    Example:
        >>> motion_blur(x, radius=10, sigma=3.0, angle=torch.zeros(len(x))).shape == x.shape
        True
    """
    high, wide = x.shape[2:]
    weights = half_gaussian(radius, sigma)
    step = torch.arange(len(weights), device=x.device)
    turn = (angle * (math.pi / 180))[:, None]
    # Ties go up, as in ImageMagick: ceil(v - 1/2). (B, K) each.
    down, right = ((step * along - 0.5).ceil().long() for along in (turn.sin(), turn.cos()))
    reach = len(weights) - 1
    padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
    rows = torch.arange(len(x), device=x.device)
    if len(weights) > _MANY:
        kernel = x.new_zeros(len(x), 1, 2 * reach + 1, 2 * reach + 1)
        # A convolution looks back where a step looks ahead; two steps may be rounded to one place.
        places = (rows[:, None], torch.zeros_like(down), reach - down, reach - right)
        kernel.index_put_(places, weights.to(x).expand(len(x), -1), accumulate=True)
        return by_spectrum(padded, kernel)
    windows = padded.unfold(2, high, 1).unfold(3, wide, 1)  # (B, C, 2 reach + 1, 2 reach + 1, H, W), a view
    out = torch.zeros_like(x)
    for i, weight in enumerate(weights.tolist()):
        out.add_(windows[rows, :, down[:, i] + reach, right[:, i] + reach], alpha=weight)
    return out


def _motion(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    angle = draws.uniform(ids, (), "angle") * 90 - 45
    return motion_blur(x, *tables.MOTION_BLUR.at(x, severity), angle)


SHIFTS = (Shift("motion_blur", "blur", "image", "smeared along a line", on_pixels(in_parts(_motion))),)
