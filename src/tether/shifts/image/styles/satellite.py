"""Seen from above: haze and bands that do not lie on each other (METHODS section 5.2, domain-specific)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image.warp import warp
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_THICK = (0.25, 0.5, 0.8, 1.2, 1.7)  # optical thickness where haze is thickest, at severities 1..5
_THINNEST = 0.3  # of the thickest
_AIR = (0.75, 0.95)  # airlight
_TINT = 0.04  # by which its channels differ, either way
_GRID = 4  # knots of the haze's smooth field, each way
_OFFSET = (0.005, 0.01, 0.015, 0.02, 0.03)  # largest shift of a band, of the shorter side
_GAIN = (0.04, 0.08, 0.12, 0.16, 0.2)  # largest change of a band's gain


def haze(x: Tensor, thickness: Tensor, airlight: Tensor) -> Tensor:
    """Veil a scene by scattering: x t + A (1 - t) with t = exp(-thickness).

    Args:
        x: (B, 3, H, W).
        thickness: (B, 1, H, W), at least 0.
        airlight: (B, 3, 1, 1) in [0, 1].
    """
    return torch.lerp(airlight, x, torch.exp(-thickness))


def _haze(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    knots = draws.uniform(ids, (1, _GRID, _GRID), "field")
    field = F.interpolate(knots, tuple(x.shape[2:]), mode="bicubic", align_corners=True)
    low, high = field.amin(dim=(2, 3), keepdim=True), field.amax(dim=(2, 3), keepdim=True)
    field = _THINNEST + (1 - _THINNEST) * (field - low) / (high - low).clamp(min=1e-6)
    grey = _AIR[0] + (_AIR[1] - _AIR[0]) * draws.uniform(ids, (1,), "airlight")
    tint = (draws.uniform(ids, (3,), "tint") * 2 - 1) * _TINT
    return haze(x, field * _THICK[severity - 1], (grey + tint)[:, :, None, None])


def move_bands(x: Tensor, offset: Tensor) -> Tensor:
    """Move every channel by its own offset in pixels, bilinearly, borders reflected.

    Args:
        x: (B, 3, H, W).
        offset: (B, 3, 2), x and y, from output to input.
    """
    matrix = torch.eye(2, device=x.device).expand(offset.shape[0] * 3, 2, 2)
    matrix = torch.cat([matrix, offset.reshape(-1, 2, 1)], dim=2)
    return warp(x.flatten(0, 1)[:, None], matrix, fill="reflection").view_as(x)


def _band_shift(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """The offsets' mean and the gains' mean are taken out: neither a move nor more light is meant."""
    offset = (draws.uniform(ids, (3, 2), "offset") * 2 - 1) * (_OFFSET[severity - 1] * min(x.shape[2:]))
    gain = 1 + (draws.uniform(ids, (3,), "gain") * 2 - 1) * _GAIN[severity - 1]
    moved = move_bands(x, offset - offset.mean(dim=1, keepdim=True))
    return moved * (gain / gain.mean(dim=1, keepdim=True))[:, :, None, None]


SHIFTS = (
    # The operator of fog: a light, smooth veil. So its family is fog's, and its role.
    Shift("haze", "weather", "image", "a veil of airlight, uneven", on_pixels(_haze), default=False),
    Shift("band_shift", "satellite", "image", "bands misregistered, gains apart", on_pixels(_band_shift),
          default=False),
)  # fmt: skip
