"""Hue, as the hexagon of HSV has it."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn every pixel's hue; saturation and value of HSV stay, so no pixel leaves [0, 1].

    Args:
        x: (B, 3, H, W) in [0, 1].
        turn: (B,) in full circles, of either sign; red goes to green at 1/3.

    Returns:
        (B, 3, H, W).

    Example:
        >>> rotate_hue(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1), torch.tensor([1 / 3])).flatten()
        tensor([0., 1., 0.])
    """
    red, green, blue = x.unbind(dim=1)  # (B, H, W) each
    value = x.amax(dim=1)
    spread = value - x.amin(dim=1)  # value times saturation
    safe = spread.clamp(min=1e-12)
    # In sixths of the circle, from red.
    hue = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue = hue + 6 * turn.view(-1, 1, 1)
    # A channel is at the value while the hue is near it, and spread below where it is far.
    below = [torch.minimum(k, 4 - k).clamp(0.0, 1.0) for k in ((hue + n) % 6 for n in (5, 3, 1))]
    return value[:, None] - spread[:, None] * torch.stack(below, dim=1)
