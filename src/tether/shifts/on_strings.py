"""The frame of every text shift: one string in, one string out, its own generator."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tether.batch import Batch
from tether.shifts.draws import Draws


def on_strings(change: Callable[[str, int, random.Random], str]) -> Callable[[Batch, int, Draws], Batch]:
    """Lift a function (text, severity, generator) -> text to batches.

    Example:
        >>> shout = on_strings(lambda text, severity, rng: text.upper())
        >>> shout(Batch(("hi",), torch.tensor([0]), torch.tensor([1])), 1, Draws(0)).x
        ('HI',)
    """

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        ids = batch.ids.tolist()
        x = tuple(change(str(t), severity, draws.rng(i, "text")) for t, i in zip(batch.x, ids, strict=True))
        return replace(batch, x=x)

    return apply
