"""Histogram matching: another picture's distribution of levels (METHODS section 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.levels import to_bytes
from tether.shifts.image.styles.references import referring


def match_histogram(x: Tensor, reference: Tensor) -> Tensor:
    """Move each channel's levels to where the reference's channel has the same cumulative share.

    Levels are the 256 of a byte. Between two levels that the reference uses, the target lies where the
    share does, linearly. A channel with one level, on either side, stays as it is.

    Args:
        x: (B, 3, H, W) in [0, 1].
        reference: the same shape, with its own distribution.

    Returns:
        (B, 3, H, W).
    """
    levels = to_bytes(x).flatten(0, 1).flatten(1)  # (N, H * W) with N = 3 B
    own, other = _counts(levels), _counts(to_bytes(reference).flatten(0, 1).flatten(1))
    upto, other_upto = own.cumsum(dim=1), other.cumsum(dim=1)
    # Both channels have H * W pixels, so counts compare without division. `above` is the first level of the
    # reference that reaches the share; it is one in use.
    above = torch.searchsorted(other_upto, upto).clamp(max=255)
    index = torch.arange(256, device=x.device).expand_as(other)
    last_used = torch.where(other > 0, index, -1).cummax(dim=1).values
    last_used = torch.nn.functional.pad(last_used, (1, -1), value=-1)  # strictly below each level
    below = last_used.gather(1, above)
    reached = other_upto.gather(1, below.clamp(min=0))
    part = (upto - reached).float() / (other_upto.gather(1, above) - reached).clamp(min=1).float()
    target = torch.where(below < 0, above, below) + torch.where(below < 0, 0.0, part * (above - below))
    out = (target / 255).gather(1, levels).view_as(x)
    varied = ((own > 0).sum(1) > 1) & ((other > 0).sum(1) > 1)
    return torch.where(varied.view(len(x), -1, 1, 1), out, x)


def _counts(levels: Tensor) -> Tensor:
    """Histogram of each row, (N, 256)."""
    rows = torch.arange(len(levels), device=levels.device)[:, None]
    return torch.bincount((levels + 256 * rows).flatten(), minlength=256 * len(levels)).view(-1, 256)


def _histogram_match(x: Tensor, reference: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    weight = (0.5 + 0.5 * draws.uniform(ids, (1, 1, 1), "blend")) * (severity / 5)
    return torch.lerp(x, match_histogram(x, reference), weight)


MAKERS = (
    referring("histogram_match", "histogram", "levels distributed as another picture's", _histogram_match),
)
