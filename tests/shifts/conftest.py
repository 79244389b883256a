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
        # Places enough for every rule: dialect, contractions, spelling, lexicons, people.
        "She is always busy, she has lost her keys, and she works at my brother's shop; he is often late, "
        "he has sold my mother's house, and he doesn't want any trouble, nor anything else.",
        "I have already seen it and you've already told them: it isn't funny, they're not here, we are late, "
        "they are at home, we don't have anything, she doesn't need any.",
        "My grandmother's favourite colour is gray, and the theater organized it. He is usually cold; "
        "it's always my sister's story of Emily and Jamal that everybody likes.",
        "The lawyer had a heart attack and high blood pressure. His landlord, a Christian priest, often rode "
        "a bus between two movies with a black man and a gay couple.",
    )
    x = lines * 8
    return Batch(x, torch.arange(len(x)) % 2, torch.arange(len(x)) + 100)
