"""Brightness, contrast and saturation (METHODS section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift


def _brightness(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Add to V of HSV. At fixed hue and saturation RGB is proportional to V; black has no hue: grey."""
    value = x.amax(dim=1, keepdim=True)  # (B, 1, H, W), V
    lifted = (value + tables.BRIGHTNESS.at(x, severity)).clamp(max=1.0)
    return torch.where(value > 0, x * (lifted / value.clamp(min=1e-12)), lifted)


def _contrast(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Scale about each channel's own mean."""
    mean = x.mean(dim=(2, 3), keepdim=True)  # (B, 3, 1, 1)
    return (x - mean) * tables.CONTRAST.at(x, severity) + mean


def _saturate(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Scale and lift S of HSV. At fixed hue and value, V - RGB is proportional to S.

    A grey pixel has no hue; the convention is hue 0, so an offset tints it red, as in the original.
    """
    factor, offset = tables.SATURATE.at(x, severity)
    value = x.amax(dim=1, keepdim=True)
    spread = value - x.amin(dim=1, keepdim=True)  # V * S
    coloured = spread > 0
    saturation = spread / value.clamp(min=1e-12)
    new = (saturation * factor + offset).clamp(0.0, 1.0)
    red = torch.tensor([0.0, 1.0, 1.0], device=x.device).view(1, 3, 1, 1)
    shape = torch.where(coloured, (value - x) / spread.clamp(min=1e-12), red)  # 0 at the largest channel
    return value - value * new * shape


SHIFTS = (
    Shift("brightness", "brightness", "image", "more light: V of HSV raised", on_pixels(_brightness)),
    Shift("contrast", "contrast", "image", "flatter: scaled about the channel mean", on_pixels(_contrast)),
    Shift("saturate", "extra_colour", "image", "saturation lowered, then raised", on_pixels(_saturate)),
)
