"""Spatter: water drops or mud on the lens (METHODS section 5.1, an extra)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.blur import gaussian_filter
from tether.shifts.image.contours import bordered, canny, distance
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_WATER = (175 / 255, 238 / 255, 238 / 255)  # red, green, blue
_MUD = (63 / 255, 42 / 255, 20 / 255)
_EDGES = (50.0, 150.0)  # Canny's thresholds
_FAR = 20  # px, beyond which a drop's contour shades nothing


def _mean_3x3(grey: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, borders mirrored, (B, H, W) float32."""
    padded = bordered(grey, "reflect")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def _emboss(grey: Tensor) -> Tensor:
    """Light from the upper left: what rises away from it is brighter, (B, H, W) int16 in 0..255."""
    padded = bordered(grey, "reflect")
    upper, middle, lower = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    rest = middle[:, :, 1:-1] + middle[:, :, 2:] - middle[:, :, :-2]  # weights -1, 1, 1
    above = 2 * upper[:, :, :-2] + upper[:, :, 1:-1]  # taken off, with weights 2, 1, 0
    return (lower[:, :, 1:-1] + 2 * lower[:, :, 2:] - above + rest).clamp_(0, 255)


def _spread_levels(levels: Tensor) -> Tensor:
    """Equalise the histogram of levels 0.._FAR to 0..255, int16, as OpenCV does; a constant one stays."""
    count, size = len(levels), levels[0].numel()
    rows = torch.arange(count, device=levels.device)[:, None] * (_FAR + 1)
    index = levels.flatten(1).long()
    seen = torch.bincount((index + rows).flatten(), minlength=count * (_FAR + 1)).view(count, -1)
    lowest = seen.gather(1, index.amin(1, keepdim=True))  # how many are at the lowest level in use
    table = (255 * (seen.cumsum(1) - lowest) / (size - lowest).clamp(min=1)).round()
    table = torch.where(lowest < size, table, torch.arange(_FAR + 1, device=levels.device))
    return table.to(torch.int16).gather(1, index).view_as(levels)


def shading(liquid: Tensor) -> Tensor:
    """How drops catch the light: the distance to their contours, equalised and embossed.

    Args:
        liquid: (B, H, W) int16 in 0..255; 0 where it is dry.

    Returns:
        (B, H, W) float32, whole numbers in 0..255. What it says of dry places means nothing.
    """
    depth = _mean_3x3(distance(canny(liquid, *_EDGES), _FAR)).to(torch.int16)  # truncated
    return _mean_3x3(_emboss(_spread_levels(depth))).round()


def _spatter(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Smoothed noise above a threshold is wet: shaded drops that add light, or opaque mud.

    The distance within drops is Euclid's, where the original's library approximates it by steps.
    """
    mean, std, sigma, threshold, amount, mud = tables.SPATTER.at(x, severity)
    noise = draws.normal(ids, (1, *x.shape[2:]), "drops").mul_(std).add_(mean)
    liquid = gaussian_filter(noise, sigma)  # (B, 1, H, W)
    if mud:
        cover = gaussian_filter((liquid > threshold).float(), amount)
        cover = torch.where(cover < 0.8, 0.0, cover)
        return torch.lerp(x, x.new_tensor(_MUD).view(1, 3, 1, 1), cover)
    level = torch.where(liquid < threshold, 0.0, liquid * 255).clamp_(max=255.0).to(torch.int16)  # truncated
    light = level * shading(level[:, 0])[:, None]
    brightest = light.amax(dim=(2, 3), keepdim=True).clamp(min=1.0)  # 1 or more, unless nothing is wet
    return torch.addcmul(x, light / brightest, x.new_tensor(_WATER).view(1, 3, 1, 1), value=amount)


SHIFTS = (
    Shift("spatter", "extra_weather", "image", "drops or mud on the lens", on_pixels(in_parts(_spatter))),
)
