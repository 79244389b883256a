"""Which samples a step sees: a function of (seed, step) alone, so that a resumed run needs no history."""

from __future__ import annotations

import torch


def permutation(samples: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of one epoch, (samples,) int64."""
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
    return torch.randperm(samples, generator=generator)


def step_indices(step: int, samples: int, batch_size: int, seed: int) -> list[int]:
    """Rows of step `step`: the epochs' permutations laid end to end and cut into full batches.

    A batch may straddle two epochs; none is short, because batch statistics (RAR) need their rows.

    Example:
        >>> sorted(step_indices(0, 4, 2, 0) + step_indices(1, 4, 2, 0))
        [0, 1, 2, 3]
    """
    size = min(batch_size, samples)
    start = step * size
    rows: list[int] = []
    while len(rows) < size:
        epoch, offset = divmod(start + len(rows), samples)
        take = min(size - len(rows), samples - offset)
        rows += permutation(samples, seed, epoch)[offset : offset + take].tolist()
    return rows
