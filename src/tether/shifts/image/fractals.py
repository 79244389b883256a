"""Pictures of random iterated function systems: structure that no camera and no corruption makes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tether.shifts.draws import Draws

POINTS = 3  # about so many a pixel
WALK = 24  # steps after which a walker has forgotten where it started: 0.8^24 < 0.005
# Words of this length are spelt out by systems of 2 to 6 maps; the rest of the points are walkers.
_LENGTH = {2: 10, 3: 6, 4: 5, 5: 4, 6: 4}
SYSTEMS = tuple(_LENGTH)


def systems(ids: Tensor, maps: int, draws: Draws) -> Tensor:
    """Random contractions of the plane, (N, K, 2, 3), for ids (N,).

    Each is a turn, a stretch along the axes, a flip for some, and another turn. Singular values are scaled
    so that sum_k (s_k1 + 2 s_k2) lies in [(5 + K) / 2, (6 + K) / 2]: below it attractors are dust, above it
    they fill the plane (Anderson and Farrell 2022).
    """
    n = len(ids)
    angle = draws.uniform(ids, (maps, 2), f"angle{maps}") * (2 * math.pi)
    size = 0.2 + 0.75 * draws.uniform(ids, (maps, 2), f"size{maps}").sort(dim=2, descending=True).values
    target = (5 + maps + draws.uniform(ids, (), f"target{maps}")) / 2  # (N,)
    total = size[:, :, 0].sum(1) + 2 * size[:, :, 1].sum(1)
    size = (size * (target / total)[:, None, None]).clamp(max=0.95)
    flip = torch.where(draws.uniform(ids, (maps, 2), f"flip{maps}") < 0.3, -1.0, 1.0)
    linear = _turn(angle[..., 0]) @ torch.diag_embed(size * flip) @ _turn(angle[..., 1])
    move = draws.uniform(ids, (maps, 2), f"move{maps}") * 2 - 1
    return torch.cat([linear, move[..., None]], dim=3).view(n, maps, 2, 3)


def _turn(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)


def attractor(
    system: Tensor, colours: Tensor, ids: Tensor, draws: Draws, length: int, walkers: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of the attractors: walkers first wander at random, then every word of maps is applied to each.

    Spelling out all words costs one map a point, where a walk of its own for each point would cost `WALK`.

    Args:
        system: (N, K, 2, 3).
        colours: of each map, (N, K, 3); a point's colour is halfway between its parent's and its map's.
        ids: (N,).
        draws: where the walkers go.
        length: of the words.
        walkers: per picture.

    Returns:
        Positions (N, P, 2), colours (N, P, 3) and weights (N, P) that sum to 1, P = walkers * K^length.
        A map is taken as often as it covers area.
    """
    n = len(system)
    area = torch.linalg.det(system[..., :2]).abs().clamp(min=0.02)  # (N, K)
    chance = area / area.sum(1, keepdim=True)
    bounds = chance.cumsum(1)[:, :-1].contiguous()
    at = system.new_zeros(n, walkers, 2)
    tint = colours.mean(1, keepdim=True).expand(n, walkers, 3)
    rows = torch.arange(n, device=system.device)[:, None]
    for step in range(WALK):
        which = torch.searchsorted(bounds, draws.uniform(ids, (walkers,), f"walk{step}"))
        chosen = system[rows, which]  # (N, walkers, 2, 3)
        at = (chosen[..., :2] @ at[..., None])[..., 0] + chosen[..., 2]
        tint = (tint + colours[rows, which]) / 2
    weight = system.new_full((n, walkers), 1 / walkers)
    for _ in range(length):
        at = torch.einsum("nkij,npj->nkpi", system[..., :2], at) + system[:, :, None, :, 2]
        tint = (tint[:, None] + colours[:, :, None]) / 2
        weight = chance[:, :, None] * weight[:, None]
        at, tint, weight = at.flatten(1, 2), tint.flatten(1, 2), weight.flatten(1, 2)
    return at, tint, weight


def splat(at: Tensor, tint: Tensor, weight: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Points (N, P, 2) in [0, 1) as density (N, side, side) and mean colour (N, 3, side, side)."""
    n = len(at)
    cell = (at * side).long().clamp(0, side - 1)
    index = cell[..., 1] * side + cell[..., 0] + torch.arange(n, device=at.device)[:, None] * side**2
    flat = index.flatten()

    def summed(values: Tensor) -> Tensor:
        return torch.bincount(flat, values.flatten(), minlength=n * side**2).view(n, side, side)

    density = summed(weight)
    colour = torch.stack([summed(weight * tint[..., c]) for c in range(3)], dim=1)
    return density, colour / density[:, None].clamp(min=1e-12)


def fractals(ids: Tensor, maps: int, side: int, draws: Draws) -> tuple[Tensor, Tensor]:
    """Pictures of random systems of `maps` maps.

    Attractors are seldom as square as a picture. They are zoomed into and folded at its edges like a
    kaleidoscope, so that the frame is full and has no seam.

    Returns:
        Colour (N, 3, side, side) in [0, 1] and cover (N, 1, side, side) in [0, 1].
    """
    hue = draws.uniform(ids, (maps, 1), f"hue{maps}") + torch.arange(3, device=ids.device) / 3
    colours = 0.5 + 0.5 * torch.cos(2 * math.pi * hue)  # (N, K, 3), fully saturated
    length = _LENGTH[maps]
    walkers = max(1, POINTS * side**2 // maps**length)
    at, tint, weight = attractor(systems(ids, maps, draws), colours, ids, draws, length, walkers)
    off = at - at.mean(1, keepdim=True)
    spread = off.square().mean(1, keepdim=True).sqrt().clamp(min=1e-3)
    zoom = 0.9 + 1.6 * draws.uniform(ids, (1, 1), f"zoom{maps}")
    place = off * (zoom / (4.4 * spread)) + 0.5  # 2.2 deviations reach the edge at zoom 1
    folded = 1 - (place.remainder(2) - 1).abs()
    density, colour = splat(folded, tint, weight, side)
    # Density varies over orders of magnitude; the eye, and a logarithm, compress it.
    cover = torch.log1p(2 * density * side**2)[:, None]
    top = cover.flatten(1).quantile(0.99, dim=1).clamp(min=1e-6).view(-1, 1, 1, 1)
    bright = colour / colour.amax(1, keepdim=True).clamp(min=1e-6)  # means of many hues are dull
    return bright, (cover / top).clamp(max=1)
