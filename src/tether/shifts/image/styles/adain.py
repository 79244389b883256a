"""AdaIN on pixels: another picture's colour statistics (METHODS section 5.2, the fallback)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.styles.lab import to_lab, to_srgb
from tether.shifts.image.styles.references import referring

# Units of Lab. An eye tells colours two or three apart; a channel that varies less than 1 is flat, and
# stretching it to another picture's spread would show its rounding errors.
_FLAT = 1.0


def match_statistics(lab: Tensor, reference: Tensor) -> Tensor:
    """sigma(r) (f - mu(f)) / sigma(f) + mu(r) for each channel, (B, 3, H, W); sigmas at least 1."""
    mean, other_mean = (z.mean(dim=(2, 3), keepdim=True) for z in (lab, reference))
    spread, other_spread = (
        z.std(dim=(2, 3), correction=0, keepdim=True).clamp(min=_FLAT) for z in (lab, reference)
    )
    return (lab - mean) * (other_spread / spread) + other_mean


def _adain_pixel(x: Tensor, reference: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    blend = (0.3 + 0.7 * draws.uniform(ids, (1, 1, 1), "blend")) * (severity / 5)
    lab = to_lab(x)
    return to_srgb(torch.lerp(lab, match_statistics(lab, to_lab(reference)), blend))


MAKERS = (referring("adain_pixel", "adain", "another picture's mean and spread in Lab", _adain_pixel),)
