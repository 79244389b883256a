"""Beta-distributed numbers from uniform ones: one draw each, no rejection."""

from __future__ import annotations

import torch
from scipy.special import betaincinv
from torch import Tensor


def beta(u: Tensor, a: float, b: float) -> Tensor:
    """The quantiles of Beta(a, b) at u in [0, 1), same shape, float32; equal u, equal result.

    Raises:
        ValueError: when a or b is not positive.

    Example:
        >>> beta(torch.tensor([0.25]), 1, 1)
        tensor([0.2500])
    """
    if not (a > 0 and b > 0):
        raise ValueError(f"expected positive parameters, got {a} and {b}")
    if b == 1:
        return u ** (1 / a)
    if a == 1:
        return -torch.expm1(torch.log1p(-u) / b)
    found = betaincinv(a, b, u.double().cpu().numpy())  # as exact as the closed forms, for a few numbers
    return torch.as_tensor(found, dtype=torch.float32).to(u.device)
