"""Other scanners: tone curves and uneven coils (METHODS section 5.2, domain-specific)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_GAMMA = (0.7, 1.5)  # at severity 5
_BIAS = (0.15, 0.3, 0.45, 0.6, 0.75)  # largest logarithm of the gain, at severities 1..5
_DEGREE = 3


def smooth_field(coefficients: Tensor, high: int, wide: int) -> Tensor:
    """A polynomial of the position, of mean 0 and largest size 1.

    Args:
        coefficients: (B, 9), of x^i y^j with 1 <= i + j <= 3, on [-1, 1] each way.
        high: rows.
        wide: columns.

    Returns:
        (B, 1, high, wide).
    """
    y, x = (torch.linspace(-1, 1, n, device=coefficients.device) for n in (high, wide))
    terms = [
        y[:, None] ** j * x[None, :] ** i
        for i in range(_DEGREE + 1)
        for j in range(_DEGREE + 1)
        if 1 <= i + j <= _DEGREE
    ]
    field = torch.einsum("bt,thw->bhw", coefficients, torch.stack(terms))[:, None]
    field = field - field.mean(dim=(2, 3), keepdim=True)
    return field / field.abs().amax(dim=(2, 3), keepdim=True).clamp(min=1e-6)


def _gamma(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    low, high = _GAMMA
    full = low + (high - low) * draws.uniform(ids, (1, 1, 1), "gamma")
    return x ** (1 + (full - 1) * (severity / 5))


def _bias_field(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    field = smooth_field(draws.normal(ids, (9,), "coefficients"), *x.shape[2:])
    return x * torch.exp(field * _BIAS[severity - 1])


SHIFTS = (
    Shift("gamma", "medical", "image", "another tone curve", on_pixels(_gamma), default=False),
    Shift("bias_field", "medical", "image", "uneven gain of a coil", on_pixels(_bias_field), default=False),
)
