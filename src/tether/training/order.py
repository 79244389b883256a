"""Which samples a step sees: a function of (seed, step) alone, so that a resumed run needs no history."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

WINDOW = 16  # batches; over so many, samples of like length are put together


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
    return _run(step * size, size, samples, seed)


@dataclass(eq=False)
class Order:
    """The rows of every step, samples of like length together where lengths are known.

    The plain order (`step_indices`) is cut into windows of 16 batches. In each the samples are sorted by
    length, cut into batches again, and the batches shuffled: every sample is seen as often as before, within
    16 steps of where it was, and a batch of texts is hardly padded.

    Attributes:
        samples: in the training set.
        batch_size: of a step.
        seed: of the run.
        sizes: (samples,) how long each is, or None for the plain order.

    Example:
        >>> Order(4, 2, 0).rows(0) == step_indices(0, 4, 2, 0)
        True
    """

    samples: int
    batch_size: int
    seed: int
    sizes: NDArray[np.int64] | None = None
    _held: dict[int, list[list[int]]] = field(default_factory=dict, repr=False)

    def rows(self, step: int) -> list[int]:
        """Of one step."""
        if self.sizes is None:
            return step_indices(step, self.samples, self.batch_size, self.seed)
        window, place = divmod(step, WINDOW)
        if window not in self._held:
            self._held = {window: self._window(window)}
        return self._held[window][place]

    def _window(self, window: int) -> list[list[int]]:
        assert self.sizes is not None
        size = min(self.batch_size, self.samples)
        rows = np.asarray(_run(window * WINDOW * size, WINDOW * size, self.samples, self.seed))
        rows = rows[np.argsort(self.sizes[rows], kind="stable")]
        batches = rows.reshape(WINDOW, size).tolist()
        # Another stream than the epochs' own: their seeds are apart by 1 an epoch.
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + 2**40 + window) % 2**63)
        return [batches[i] for i in torch.randperm(WINDOW, generator=generator).tolist()]


def _run(start: int, length: int, samples: int, seed: int) -> list[int]:
    """A stretch of the epochs' permutations laid end to end."""
    rows: list[int] = []
    while len(rows) < length:
        epoch, offset = divmod(start + len(rows), samples)
        take = min(length - len(rows), samples - offset)
        rows += permutation(samples, seed, epoch)[offset : offset + take].tolist()
    return rows
