"""Operations on grey levels, batched, with a strength per image; numbers as Pillow's ImageOps gives them.

Each takes and returns float32 (B, 3, H, W) in [0, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor


def to_bytes(x: Tensor) -> Tensor:
    """The nearest of 256 levels, int64, same shape."""
    return (x * 255).round().long()


def autocontrast(x: Tensor) -> Tensor:
    """Stretch each channel to the full range; a constant channel stays as it is."""
    low = x.amin(dim=(2, 3), keepdim=True)
    span = x.amax(dim=(2, 3), keepdim=True) - low
    return torch.where(span > 0, (x - low) / span.clamp(min=1e-12), x)


def equalize(x: Tensor) -> Tensor:
    """Flatten each channel's histogram of 256 levels.

    Level v maps to (step // 2 + pixels below v) // step. The step is 1/255 of the pixels that are not
    at the brightest level in use; a channel too uniform for a step of 1 stays as it is.
    """
    levels = to_bytes(x).flatten(0, 1).flatten(1)  # (B * 3, H * W)
    rows = torch.arange(len(levels), device=x.device)[:, None]
    counts = torch.bincount((levels + 256 * rows).flatten(), minlength=256 * len(levels)).view(-1, 256)
    brightest = levels.amax(dim=1, keepdim=True)
    step = (levels.shape[1] - counts.gather(1, brightest)) // 255  # (B * 3, 1)
    below = counts.cumsum(dim=1) - counts
    table = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255).float() / 255
    out = table.gather(1, levels).view_as(x)
    return torch.where(step.view(len(x), 3, 1, 1) > 0, out, x)


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest `bits` (B,) int64 of each byte, 1..8."""
    drop = (8 - bits).view(-1, 1, 1, 1)
    return ((to_bytes(x) >> drop) << drop).float() / 255


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at or above `threshold` (B,), in levels 0..256; 256 inverts nothing."""
    return torch.where(to_bytes(x) < threshold.view(-1, 1, 1, 1), x, 1 - x)
