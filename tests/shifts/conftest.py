from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tether.batch import Batch


def pictures(count: int, size: int, seed: int = 0) -> Tensor:
    """Smooth coloured pictures with edges: waves and a square, in [0, 1], never twice the same."""
    g = torch.Generator().manual_seed(seed)
    at = torch.linspace(0, 1, size)
    wave = torch.rand(count, 3, 4, generator=g)  # frequency x, frequency y, phase, height
    freq = 1 + 5 * wave[..., :2]
    angle = freq[..., :1, None] * at[:, None] + freq[..., 1:, None] * at + wave[..., 2, None, None] * 6.28
    x = 0.5 + 0.45 * wave[..., 3, None, None] * torch.sin(angle * 3)
    x[:, :, size // 4 : size // 2, size // 4 : size // 2] = torch.rand(count, 3, 1, 1, generator=g)
    return x.clamp(0, 1)


@pytest.fixture(scope="session")
def images() -> Batch:
    """64 pictures of 32 px with ids that are no row numbers, and groups."""
    n = 64
    return Batch(pictures(n, 32), torch.arange(n) % 7, torch.arange(n) * 31 + 5, group=torch.arange(n) % 2)


@pytest.fixture(scope="session")
def texts() -> Batch:
    lines = (
        "The service was really wonderful, and everybody smiled at the visitors!",
        "I do not like 3 of these [MASK] phones; never buy from @shop or https://shop.example",
        "Boring plot, clumsy dialogue. The actors couldn't save this picture...",
        "  Two spaces  and a\ttab, kept as they were when nothing is dropped  ",
    )
    x = lines * 4
    return Batch(x, torch.arange(len(x)) % 2, torch.arange(len(x)) + 100)
