"""Noise added to each pixel and channel on its own (METHODS section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.on_pixels import on_pixels
from tether.shifts.poisson import poisson
from tether.shifts.shift import Shift


def _gaussian(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    std = tables.GAUSSIAN_NOISE.at(x, severity)
    return x + std * draws.normal(ids, tuple(x.shape[1:]), "noise")


def _shot(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    photons = tables.SHOT_NOISE.at(x, severity)
    return poisson(x * photons, draws.words(ids, tuple(x.shape[1:]), "noise")) / photons


def _impulse(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    half = tables.IMPULSE_NOISE.at(x, severity) / 2  # salt and pepper in equal parts
    u = draws.uniform(ids, tuple(x.shape[1:]), "noise")
    return torch.where(u < half, 0.0, torch.where(u >= 1 - half, 1.0, x))


def _speckle(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    std = tables.SPECKLE_NOISE.at(x, severity)
    return x + x * std * draws.normal(ids, tuple(x.shape[1:]), "noise")


SHIFTS = (
    Shift("gaussian_noise", "noise", "image", "normal noise on every pixel", on_pixels(_gaussian)),
    Shift("shot_noise", "noise", "image", "Poisson noise of few photons", on_pixels(_shot)),
    Shift("impulse_noise", "noise", "image", "salt and pepper", on_pixels(_impulse)),
    Shift("speckle_noise", "extra_noise", "image", "normal noise scaled by the pixel", on_pixels(_speckle)),
)
