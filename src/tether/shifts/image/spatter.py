"""Spatter: water drops or mud on the lens (METHODS section 5.1, an extra)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.blur import gaussian_filter
from tether.shifts.image.contours import canny, distance
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_WATER = (175 / 255, 238 / 255, 238 / 255)  # red, green, blue
_MUD = (63 / 255, 42 / 255, 20 / 255)
_EDGES = (50.0, 150.0)  # Canny's thresholds
_FAR = 20  # px, beyond which a drop's contour shades nothing
# Light from the lower right: what rises towards it is brighter.
_EMBOSS = ((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0))


def _mean_3x3(grey: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, borders mirrored, (B, H, W)."""
    return F.avg_pool2d(F.pad(grey[:, None], (1, 1, 1, 1), mode="reflect"), 3, 1)[:, 0]


def _spread_levels(levels: Tensor) -> Tensor:
    """Equalise the histogram of whole numbers 0.._FAR to 0..255, as OpenCV does; constant ones stay."""
    count, size = len(levels), levels[0].numel()
    rows = torch.arange(count, device=levels.device)[:, None] * (_FAR + 1)
    index = levels.long().flatten(1)
    seen = torch.bincount((index + rows).flatten(), minlength=count * (_FAR + 1)).view(count, -1)
    lowest = seen.gather(1, index.amin(1, keepdim=True))  # how many are at the darkest level in use
    table = (255 * (seen.cumsum(1) - lowest) / (size - lowest).clamp(min=1)).round()
    table = torch.where(lowest < size, table, torch.arange(_FAR + 1, device=levels.device))
    return table.gather(1, index).view_as(levels).float()


def shading(liquid: Tensor) -> Tensor:
    """How drops catch the light: the distance to their contours, equalised and embossed.

    Args:
        liquid: (B, H, W), whole numbers in 0..255 as float; 0 where it is dry.

    Returns:
        (B, H, W), whole numbers in 0..255 as float. What it says of dry places means nothing.
    """
    depth = _mean_3x3(distance(canny(liquid, *_EDGES), _FAR)).floor()
    depth = _spread_levels(depth)[:, None]
    padded = F.pad(depth, (1, 1, 1, 1), mode="reflect")
    lit = F.conv2d(padded, depth.new_tensor(_EMBOSS)[None, None]).clamp(0.0, 255.0)
    return _mean_3x3(lit[:, 0]).round()


def _spatter(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    mean, std, sigma, threshold, amount, mud = tables.SPATTER.at(x, severity)
    noise = draws.normal(ids, (1, *x.shape[2:]), "drops") * std + mean
    liquid = gaussian_filter(noise, sigma)  # (B, 1, H, W)
    if mud:
        cover = gaussian_filter((liquid > threshold).float(), amount)
        cover = torch.where(cover < 0.8, 0.0, cover)
        return torch.lerp(x, x.new_tensor(_MUD).view(1, 3, 1, 1), cover)
    wet = torch.where(liquid < threshold, 0.0, (liquid * 255).floor().clamp(max=255.0))
    light = wet * shading(wet[:, 0])[:, None]
    brightest = light.amax(dim=(2, 3), keepdim=True).clamp(min=1.0)  # at least 1 unless there is no drop
    return x + (light / brightest * amount) * x.new_tensor(_WATER).view(1, 3, 1, 1)


SHIFTS = (Shift("spatter", "extra_weather", "image", "drops or mud on the lens", on_pixels(in_parts(_spatter))),)
