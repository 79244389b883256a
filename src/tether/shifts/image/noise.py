"""Noise added to each pixel and channel on its own (METHODS section 5.1)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.on_pixels import on_pixels
from tether.shifts.poisson import poisson
from tether.shifts.shift import Shift


def _gaussian(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    std = tables.GAUSSIAN_NOISE.at(x, severity)
    return draws.normal(ids, tuple(x.shape[1:]), "noise").mul_(std).add_(x)


def _shot(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    photons = tables.SHOT_NOISE.at(x, severity)
    return poisson(x, photons, ids, draws).div_(photons)


def _impulse(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    half = tables.IMPULSE_NOISE.at(x, severity) / 2  # salt and pepper in equal parts
    u = draws.halves(ids, tuple(x.shape[1:]), "noise").float().mul_(2.0**-32)  # [-0.5, 0.5]
    # Only the two ends of the range stay, at least 0.36 from 0; four times that is white or black once
    # clipped. Arithmetic, because torch.where with a constant runs element by element on a CPU.
    return F.hardshrink(u, 0.5 - half).mul_(4.0).add_(x)


def _speckle(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    std = tables.SPECKLE_NOISE.at(x, severity)
    return draws.normal(ids, tuple(x.shape[1:]), "noise").mul_(std).add_(1.0).mul_(x)


SHIFTS = (
    Shift("gaussian_noise", "noise", "image", "normal noise on every pixel", on_pixels(_gaussian)),
    Shift("shot_noise", "noise", "image", "Poisson noise of few photons", on_pixels(_shot)),
    Shift("impulse_noise", "noise", "image", "salt and pepper", on_pixels(_impulse)),
    Shift("speckle_noise", "extra_noise", "image", "normal noise scaled by the pixel", on_pixels(_speckle)),
)
