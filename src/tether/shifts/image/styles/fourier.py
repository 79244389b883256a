"""Another picture's amplitude spectrum, one's own phase (METHODS section 5.2, Fourier amplitude mix).

The phase holds where things are, the amplitude how strong each grain is: the style, roughly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.styles.references import referring
from tether.shifts.image.styles.spectral import frequency

_BETA = (0.01, 0.03, 0.05, 0.07, 0.09)  # of the shorter side: half the window's side, at severities 1..5
_FOREIGN = (0.4, 0.55, 0.7, 0.85, 1.0)  # weight of the foreign amplitude in apr
_ETA = (0.2, 0.4, 0.6, 0.8, 1.0)  # largest weight in fact


def mix_amplitude(x: Tensor, reference: Tensor, weight: Tensor | float) -> Tensor:
    """The inverse transform of ((1 - weight) |X| + weight |R|) e^(i phase of X), not clipped.

    A bin in which x has no amplitude (below 1e-6 a pixel) has no phase either, and stays empty.

    Args:
        x: (B, 3, H, W).
        reference: the same shape.
        weight: 0 to 1, to broadcast with (B, 3, H, W // 2 + 1), the bins of `rfft2`.

    Returns:
        (B, 3, H, W) float32.
    """
    high, wide = x.shape[2:]
    spectrum = torch.fft.rfft2(x)
    own = spectrum.abs()
    floor = 1e-6 * high * wide
    ratio = torch.where(own > floor, torch.fft.rfft2(reference).abs() / own.clamp(min=floor), 1.0)
    mixed: Tensor = torch.fft.irfft2(spectrum * (1 + weight * (ratio - 1)), s=(high, wide))
    return mixed


def window(size: tuple[int, int], beta: float, device: torch.device) -> Tensor:
    """Weights of the centred low-frequency square of half side beta * min(size), (H, W // 2 + 1).

    The half side is a real number: a ring of frequencies that it covers in part has that weight. It is at
    least 1. Of a 32 px picture .01 is a third of a pixel, which would leave the mean alone, and a picture
    with another mean is only brighter or darker: a test corruption.
    """
    half = max(beta * min(size), 1.0)
    down, across = frequency(size, device)
    return (half + 1 - torch.maximum(down, across)).clamp(0.0, 1.0)


def _fda(x: Tensor, reference: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    high, wide = x.shape[2:]
    return mix_amplitude(x, reference, window((high, wide), _BETA[severity - 1], x.device))


def _apr(x: Tensor, reference: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return mix_amplitude(x, reference, _FOREIGN[severity - 1])


def _fact(x: Tensor, reference: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    weight = draws.uniform(ids, (1, 1, 1), "weight") * _ETA[severity - 1]
    return mix_amplitude(x, reference, weight)


MAKERS = (
    referring("fda", "fourier", "another picture's low-frequency amplitudes", _fda),
    referring("apr", "fourier", "another picture's amplitudes, at last all", _apr),
    referring("fact", "fourier", "amplitudes mixed with another picture's", _fact),
)
