"""Blurs by convolution (METHODS section 5.1)."""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_WIDEST = 15  # px; a wider square kernel goes through Fourier transforms


def gaussian_weights(sigma: float, radius: int) -> Tensor:
    """A sampled Gaussian that sums to 1, (2 * radius + 1,) float32."""
    at = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (at / sigma) ** 2)
    # What float32 cannot add to the largest is 0: products of such weights are denormal, hence slow.
    weights[weights < 2.0**-24] = 0.0
    return (weights / weights.sum()).float()


def disk(radius: float, alias_sigma: float) -> Tensor:
    """An out-of-focus lens: a disk of pixels, softened by a 3x3 (radius <= 8) or 5x5 Gaussian.

    The original softens inside an array that a radius of 8 or more fills to its border; this one
    has room around the disk, so that the weights always sum to 1.

    Returns:
        (K, K) float32 with K odd.
    """
    soft = gaussian_weights(alias_sigma, 1 if radius <= 8 else 2)
    reach = math.floor(radius) + len(soft) // 2
    at = torch.arange(-reach, reach + 1, dtype=torch.float32)
    inside = (at[:, None] ** 2 + at[None, :] ** 2 <= radius**2).float()
    kernel = F.conv2d(inside[None, None] / inside.sum(), torch.outer(soft, soft)[None, None], padding="same")
    # A sharp Gaussian leaves weights such as 1e-44, too small to see and very slow to multiply with.
    return F.threshold(kernel[0, 0], 1e-12, 0.0)


def _filter(x: Tensor, kernel: Tensor, border: str) -> Tensor:
    """Convolve every channel with one symmetric (K, L) kernel of odd sizes."""
    tall, wide = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = F.pad(x, (wide, wide, tall, tall), mode=border)
    if min(kernel.shape) > _WIDEST:
        return by_spectrum(padded, kernel)
    # Every channel of every image as a group of its own: torch's depthwise kernel, here 10 to 20 times
    # faster than a batch of one-channel images.
    planes = padded.flatten(0, 1)[None]  # (1, B * 3, H + , W + )
    weight = kernel.to(x).expand(planes.shape[1], 1, *kernel.shape)
    return F.conv2d(planes, weight, groups=planes.shape[1]).view_as(x)


def by_spectrum(padded: Tensor, kernel: Tensor) -> Tensor:
    """Convolve by Fourier transforms, whose cost hardly grows with the kernel.

    Args:
        padded: (B, C, H + K - 1, W + L - 1).
        kernel: (K, L), or one for each image, (B, 1, K, L).

    Returns:
        (B, C, H, W).
    """
    size = [next_fast_len(n, real=True) for n in padded.shape[2:]]
    spectrum = torch.fft.rfft2(padded, s=size)
    spectrum *= torch.fft.rfft2(kernel.to(padded), s=size)
    # What wraps around the border lands in the first rows and columns, which padding provides for.
    first, last = [k - 1 for k in kernel.shape[-2:]], padded.shape[2:]
    out: Tensor = torch.fft.irfft2(spectrum, s=size)
    return out[:, :, first[0] : last[0], first[1] : last[1]]


def _defocus(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return _filter(x, disk(*tables.DEFOCUS_BLUR.at(x, severity)), "reflect")


def gaussian_filter(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, C, H, W), borders repeated."""
    weights = gaussian_weights(sigma, round(4 * sigma))  # four sigma out, as the original's library does
    if len(weights) == 1:
        return x
    return _filter(_filter(x, weights[None, :], "replicate"), weights[:, None], "replicate")


def _gaussian(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return gaussian_filter(x, tables.GAUSSIAN_BLUR.at(x, severity))


SHIFTS = (
    Shift("defocus_blur", "blur", "image", "a lens out of focus", on_pixels(in_parts(_defocus))),
    Shift("gaussian_blur", "extra_blur", "image", "Gaussian blur", on_pixels(in_parts(_gaussian))),
)
