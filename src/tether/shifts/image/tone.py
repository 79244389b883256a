"""Tone: other grey levels for the same scene. A training shift of our own."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.levels import autocontrast, posterize, solarize
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_BITS = (5, 4, 3, 3, 2)  # kept by posterise, at severities 1..5
_THRESHOLD = (224, 192, 160, 144, 128)  # solarise
_STRETCH = (0.2, 0.4, 0.6, 0.8, 1.0)  # part of the way to full autocontrast
# Blending a picture with its negative at a weight below 1/2 is nothing but lower contrast, a test
# corruption. So the negative outweighs the picture from the start, and what grows is the number of
# channels that it takes.
_NEGATIVE = (0.75, 1.0, 0.75, 1.0, 1.0)
_CHANNELS = (1, 1, 2, 2, 3)


def _tone(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Each image draws one of four operations."""
    choice = draws.integers(ids, 0, 4, (), "operation")
    at = severity - 1
    out = x.clone()

    rows = (choice == 0).nonzero().squeeze(1)
    out[rows] = posterize(x[rows], torch.full_like(rows, _BITS[at]))
    rows = (choice == 1).nonzero().squeeze(1)
    out[rows] = solarize(x[rows], torch.full_like(rows, _THRESHOLD[at]))
    rows = (choice == 2).nonzero().squeeze(1)
    out[rows] = torch.lerp(x[rows], autocontrast(x[rows]), _STRETCH[at])
    rows = (choice == 3).nonzero().squeeze(1)
    order = draws.uniform(ids[rows], (3,), "channels").argsort(dim=1).argsort(dim=1)  # ranks 0..2
    weight = (order < _CHANNELS[at]).float()[:, :, None, None] * _NEGATIVE[at]
    out[rows] = torch.lerp(x[rows], 1 - x[rows], weight)
    return out


SHIFTS = (
    Shift("tone", "tone", "image", "posterised, solarised, stretched or partly inverted", on_pixels(_tone)),
)
