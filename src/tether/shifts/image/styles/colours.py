"""Colours of another kind: greyer, turned, exchanged, or few (METHODS section 5.2, styles)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.luma import luma
from tether.shifts.image.styles.hsv import rotate_hue
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_GREY = (0.2, 0.4, 0.6, 0.8, 1.0)  # part of the way to luma, at severities 1..5
_TURN = (0.1, 0.2, 0.3, 0.4, 0.5)  # largest turn of the hue, in full circles
_MIX = (0.2, 0.4, 0.6, 0.8, 1.0)  # part of the way to exchanged channels
_LEVELS = (12, 8, 6, 4, 3)  # kept per channel
# Every order of three channels but their own: three exchange a pair, two move all.
_ORDERS = ((1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0), (2, 0, 1))


def exchange(x: Tensor, order: Tensor, weight: float) -> Tensor:
    """Blend each picture with itself in another order of channels, colourfulness kept.

    Half way between two orders lies a paler picture. That would be the validation corruption `saturate`
    in part, so what deviates from grey is scaled back to its former root mean square, at most twofold.

    Args:
        x: (B, 3, H, W).
        order: (B, 3) int64; channel i takes what stood in channel order[i].
        weight: 0 changes nothing, 1 exchanges.
    """
    mixed = torch.lerp(x, x.gather(1, order[:, :, None, None].expand_as(x)), weight)
    grey = x.mean(dim=1, keepdim=True)  # the same before and after
    before, after = ((z - grey).square().mean(dim=(1, 2, 3), keepdim=True).sqrt() for z in (x, mixed))
    gain = (before / after.clamp(min=1e-6)).clamp(1.0, 2.0)
    return grey + (mixed - grey) * gain


def quantise(x: Tensor, levels: int) -> Tensor:
    """Round to `levels` equal steps from black to white, both kept."""
    return (x * (levels - 1)).round() / (levels - 1)


def _grayscale(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return torch.lerp(x, luma(x).expand_as(x), _GREY[severity - 1])


def _hue(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Between half the range and all of it, either way round: no sample keeps its colours by chance."""
    u = draws.uniform(ids, (2,), "turn")
    sign = torch.where(u[:, 0] < 0.5, -1.0, 1.0)
    return rotate_hue(x, sign * (0.5 + 0.5 * u[:, 1]) * _TURN[severity - 1])


def _channels(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    orders = torch.tensor(_ORDERS, device=x.device)
    return exchange(x, orders[draws.integers(ids, 0, len(_ORDERS), (), "order")], _MIX[severity - 1])


def _posterise(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return quantise(x, _LEVELS[severity - 1])


SHIFTS = (
    # Blending towards grey scales the chroma, and so does `saturate` at severities 1 and 2: one operator,
    # hence one family, and its role.
    Shift("grayscale", "extra_colour", "image", "colour fades to luma", on_pixels(_grayscale), default=False),
    Shift("hue", "style", "image", "all hues turned by an angle", on_pixels(_hue), default=False),
    Shift("channels", "style", "image", "red, green, blue exchanged", on_pixels(_channels), default=False),
    # One of the four operations of `tone`, hence its family.
    Shift("posterise", "tone", "image", "few levels per channel", on_pixels(_posterise), default=False),
)
