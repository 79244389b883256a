"""Pictures of 1/f noise: a reference bank that needs no data."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws

_STEEP = (0.9, 1.6)  # power of the falling amplitude; photographs are near 1 (Field 1987)
_MEAN = (0.25, 0.75)
_SPREAD = (0.1, 0.25)  # standard deviation of a channel
_SHARED = 0.7  # part of the variance that the three channels share: a photograph's are alike


def frequency(size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Whole cycles per picture of `rfft2`'s bins, down (H, 1) and across (1, W // 2 + 1), at least 0."""
    high, wide = size
    down = (torch.fft.fftfreq(high, device=device) * high).abs()[:, None]
    return down, (torch.fft.rfftfreq(wide, device=device) * wide)[None, :]


def spectral(ids: Tensor, draws: Draws, size: tuple[int, int]) -> Tensor:
    """Coloured clouds, (B, 3, *size) in [0, 1]: noise whose amplitude falls as a power of frequency.

    Power, mean colour and contrast are drawn for each sample.

    Example:
        >>> spectral(torch.tensor([7]), Draws(seed=0), (32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """

    def between(low: float, high: float, count: int, name: str) -> Tensor:
        return (low + (high - low) * draws.uniform(ids, (count,), name))[:, :, None, None]

    down, across = frequency(size, ids.device)
    radius = torch.hypot(down / size[0], across / size[1]).clamp(min=1e-6)
    fall = radius ** -between(*_STEEP, 1, "power")  # (B, 1, H, W // 2 + 1)
    fall[..., 0, 0] = 0.0  # the mean is drawn by itself
    white = torch.fft.rfft2(draws.normal(ids, (4, *size), "noise"))
    noise: Tensor = torch.fft.irfft2(white * fall, s=size)  # (B, 4, H, W), mean 0
    noise = noise / noise.std(dim=(2, 3), keepdim=True)
    own, shared = noise[:, :3], noise[:, 3:]
    noise = shared * _SHARED**0.5 + own * (1 - _SHARED) ** 0.5
    return (between(*_MEAN, 3, "mean") + between(*_SPREAD, 3, "spread") * noise).clamp(0.0, 1.0)
