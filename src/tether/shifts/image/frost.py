"""Frost from arithmetic instead of photographs (METHODS section 5.1, `frost_proc`)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.blur import gaussian_filter
from tether.shifts.image.parts import in_parts
from tether.shifts.image.plasma import plasma, relief_noise
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

# In px of the texture. A fern is a spine with side branches; several grow from one nucleus, as a fan.
_AREA = 1400.0  # of the texture and its margin, for each nucleus
_FERNS = 4  # of a nucleus
_SPINE, _SPINE_POINTS = 90.0, 60  # longest; a point each 1.5 px leaves no gaps once softened
_BRANCHES = 18  # on each side of a spine
_TWIG, _TWIG_POINTS = 16.0, 10  # longest branch


def draw_lines(canvas: Tensor, start: Tensor, along: Tensor, shine: Tensor, points: int) -> None:
    """Draw straight lines that fade to their tips; where lines cross, the brightest shows.

    Args:
        canvas: (B, H + 2, W + 2), drawn on; its border takes what falls outside the picture.
        start: (B, L, 2), row and column, in px of the picture.
        along: (B, L, 2), from the start to the tip.
        shine: (B, L), brightness at the start, >= 0.
        points: how many to draw for each line.
    """
    high, wide = (n - 2 for n in canvas.shape[1:])
    part = torch.arange(points, device=canvas.device) / points
    row, column = (
        torch.add(start[..., i, None] + 1, along[..., i, None] * part).clamp_(0, n + 1).int()
        for i, n in enumerate((high, wide))
    )  # (B, L, points)
    place = row.mul_(wide + 2).add_(column).flatten(1).long()
    light = shine[..., None] * (1 - 0.6 * part)
    # The largest, not the sum: no order of adding up, so no rounding that depends on the device.
    canvas.view(len(canvas), -1).scatter_reduce_(1, place, light.flatten(1), "amax")


def ferns(ids: Tensor, high: int, wide: int, draws: Draws) -> Tensor:
    """Ice crystals: how bright the brightest branch over each pixel is, (B, 1, H, W) in [0, 1]."""
    count = round((high + _SPINE) * (wide + _SPINE) / _AREA)

    def drawn(name: str, low: float, up: float, *shape: int) -> Tensor:
        return draws.uniform(ids, (count, *shape), name) * (up - low) + low  # (B, N, *shape)

    def towards(angle: Tensor, length: Tensor) -> Tensor:
        return torch.stack([angle.sin() * length, angle.cos() * length], -1)

    box = torch.tensor([high + _SPINE, wide + _SPINE], device=ids.device)
    nucleus = drawn("nucleus", 0.0, 1.0, 1, 2) * box - _SPINE / 2  # what grows outside reaches in
    angle = drawn("direction", 0.0, 2 * math.pi, 1) + drawn("spread", -0.9, 0.9, _FERNS)  # (B, N, F)
    length = drawn("length", 0.3, 1.0, _FERNS) * _SPINE
    shine = drawn("shine", 0.35, 1.0, _FERNS)
    canvas = torch.zeros(len(ids), high + 2, wide + 2, device=ids.device)
    root, spine = nucleus.expand(-1, -1, _FERNS, -1), towards(angle, length)
    draw_lines(canvas, root.flatten(1, 2), spine.flatten(1, 2), shine.flatten(1), _SPINE_POINTS)

    # Branches start evenly along a spine, on both sides, and are shorter towards its tip.
    lean = drawn("lean", 0.45, 1.05, 1, 1, 1)  # their angle to the spine
    bushy = drawn("bushy", 0.1, 0.45, 1, 1, 1)  # from needles to broad ferns
    part = ((torch.arange(_BRANCHES, device=ids.device) + 0.5) / _BRANCHES)[:, None]  # (branches, 1)
    sides = torch.tensor([-1.0, 1.0], device=ids.device)
    twig = (length[..., None, None] * bushy * (1 - part) ** 0.7).clamp(max=_TWIG)
    twig = twig * drawn("twig", 0.5, 1.0, _FERNS, _BRANCHES, 2)  # (B, N, F, branches, 2)
    foot = root[..., None, None, :] + spine[..., None, None, :] * part[..., None]
    draw_lines(
        canvas,
        foot.expand(*twig.shape, 2).flatten(1, 4),
        towards(angle[..., None, None] + sides * lean, twig).flatten(1, 4),
        (0.85 * shine)[..., None, None].expand_as(twig).flatten(1),
        _TWIG_POINTS,
    )
    return canvas[:, None, 1:-1, 1:-1]


def texture(ids: Tensor, high: int, wide: int, draws: Draws) -> Tensor:
    """A frosted pane, (B, 3, H, W) in [0, 1]: cloudy ice, crystals lit from the upper left, a cold tint."""
    size = 1 << (max(high, wide) - 1).bit_length()
    noise = relief_noise(ids, size, draws, "ice")
    cloud = plasma(noise, 1.6)[:, None, :high, :wide] - 0.5
    grain = noise[:, None, :high, :wide]
    crystals = gaussian_filter(ferns(ids, high, wide, draws), 0.6)
    shadow = F.pad(crystals, (1, 0, 1, 0), mode="replicate")[:, :, :-1, :-1]
    one = draws.uniform(ids, (3, 1, 1, 1), "pane")  # (B, 3, 1, 1, 1)
    tone, contrast = 0.36 + 0.38 * one[:, 0], 0.3 + 0.3 * one[:, 1]
    grey = tone + 0.4 * cloud + contrast * crystals + 0.4 * (crystals - shadow) + 0.04 * grain
    tint = 1 + (0.1 + one[:, 2] ** 2) * grey.new_tensor([-0.2, -0.02, 0.06]).view(1, 3, 1, 1)
    return (grey.clamp(0.0, 1.0) * tint).clamp(max=1.0)


def _frost(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    scale = tables.FROST_SCALE.at(x, severity)
    keep, ice = tables.FROST.at(x, severity)
    high, wide = x.shape[2:]
    # A texture drawn at full size and shrunk: crystals of two pixels cannot be drawn directly.
    pane = texture(ids, math.ceil(high / scale), math.ceil(wide / scale), draws)
    if scale < 1:
        pane = F.interpolate(pane, size=(high, wide), mode="area")
    return keep * x + ice * pane


# In tens: a small picture's texture is as large as a big one's.
SHIFTS = (
    Shift("frost_proc", "weather", "image", "seen through ice crystals", on_pixels(in_parts(_frost, 10))),
)
