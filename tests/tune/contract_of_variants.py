"""Shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


def stirred_adapter(parameters: Sequence[nn.Parameter], size: float = 0.2) -> None:
    """Noise on every trained number, as if it had been trained."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
