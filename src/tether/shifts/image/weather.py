"""Snow and fog (METHODS section 5.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.luma import luma
from tether.shifts.image.motion import motion_blur
from tether.shifts.image.parts import in_parts
from tether.shifts.image.plasma import plasma, relief_noise
from tether.shifts.image.zoom import enlarge, needed
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift


def _fog(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Add a plasma, then scale so that a white that got the thickest fog is as bright as before.

    The relief covers the smallest power of two that holds the image, and is cut to it.
    """
    strength, decay = tables.FOG.at(x, severity)
    high, wide = x.shape[2:]
    size = 1 << (max(high, wide) - 1).bit_length()
    relief = plasma(relief_noise(ids, size, draws, "relief"), decay)[:, None, :high, :wide]
    brightest = x.amax(dim=(1, 2, 3), keepdim=True)
    scale = brightest / (brightest + strength)
    return x.add(relief, alpha=strength).mul_(scale)


def _snow(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Whiten the picture, then add flakes: noise, enlarged, cut at a threshold, and falling.

    The flakes are added twice, the second time turned by 180 degrees.
    """
    mean, std, zoom, threshold, radius, sigma, keep = tables.SNOW.at(x, severity)
    high, wide = x.shape[2:]
    # Only what the enlarging needs is drawn, so flakes are others where the zoom is another.
    noise = draws.normal(ids, (1, needed(high, zoom), needed(wide, zoom)), "flakes") * std + mean
    flakes = enlarge(noise, zoom, high, wide)
    flakes = torch.where(flakes < threshold, 0.0, flakes.clamp(max=1.0))
    angle = draws.uniform(ids, (), "angle") * 90 - 135
    flakes = motion_blur(flakes, radius, sigma, angle)  # (B, 1, H, W)

    whitened = torch.maximum(x, luma(x) * 1.5 + 0.5)
    return torch.lerp(whitened, x, keep) + (flakes + flakes.flip(2, 3))


SHIFTS = (
    Shift("snow", "weather", "image", "whitened, with falling flakes", on_pixels(in_parts(_snow))),
    Shift("fog", "weather", "image", "a cloud of plasma", on_pixels(in_parts(_fog))),
)
