"""Training pictures for the small networks: which are trained on, and which only measure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tether.data import Examples
from tether.errors import RequestError

_MEASURED = 256  # pictures kept out of training, at most a tenth of them
_FEWEST = 4


def content_of(examples: Examples) -> str:
    """Hash of the pictures and their size; labels do not enter."""
    digest = hashlib.blake2b(examples.digests.tobytes(), digest_size=16)
    digest.update(f"{examples.ids.tolist()}/{examples.read.size}".encode())
    return digest.hexdigest()


def check_pictures(examples: Examples, asked_by: str) -> None:
    """Refuse texts, and sets too small to learn from.

    Raises:
        RequestError: naming who asked.
    """
    if not isinstance(examples.batch([0]).x, Tensor):
        raise RequestError(f"{asked_by}: expected pictures, got texts; choose a shift made for texts")
    if len(examples) < _FEWEST:
        raise RequestError(
            f"{asked_by}: expected at least {_FEWEST} training pictures, got {len(examples)}; add some"
        )


def parted(examples: Examples) -> tuple[Examples, Examples]:
    """Pictures to train on, and every k-th one kept out of it to measure on."""
    count = max(1, min(_MEASURED, len(examples) // 10))
    out = np.array([i * len(examples) // count for i in range(count)])
    return examples.subset(np.setdiff1d(np.arange(len(examples)), out)), examples.subset(out)


def pixels(examples: Examples, rows: np.ndarray | list[int]) -> Tensor:
    """Pixels (B, 3, H, W) in [0, 1] of these rows."""
    x = examples.batch(rows).x
    assert isinstance(x, Tensor)
    return x


def all_pixels(examples: Examples, size: int = 64) -> Iterator[Tensor]:
    """Every picture once, in order, in batches."""
    for start in range(0, len(examples), size):
        yield pixels(examples, list(range(start, min(start + size, len(examples)))))


def crops(
    examples: Examples, side: int, batch: int, steps: int, generator: torch.Generator
) -> Iterator[Tensor]:
    """Batches of random windows of random pictures, both sides a multiple of 4, in [0, 1].

    The networks are convolutions: from windows they learn what they need, and the cost of a step does not
    grow with the pictures.
    """
    for _ in range(steps):
        rows = torch.randint(len(examples), (batch,), generator=generator)
        x = pixels(examples, rows.numpy())
        high, wide = (min(side, n) // 4 * 4 for n in x.shape[2:])
        top = int(torch.randint(x.shape[2] - high + 1, (), generator=generator))
        left = int(torch.randint(x.shape[3] - wide + 1, (), generator=generator))
        yield x[:, :, top : top + high, left : left + wide]


def first(examples: Examples, limit: int) -> Examples:
    """At most so many examples, evenly spread, so that sorted files keep their classes."""
    if len(examples) <= limit:
        return examples
    return examples.subset([i * len(examples) // limit for i in range(limit)])
