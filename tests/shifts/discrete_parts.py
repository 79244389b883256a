"""Tiny training sets, quantisers and teachers for the tests of the discrete family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.shifts import Supplies
from tether.shifts.discrete.fit import Schedule

TINY = Schedule(steps=12, batch=4, side=16, width=8, dim=6, codes=16)


@dataclass(frozen=True)
class _Read:
    size: int | None = None


@dataclass
class Held:
    """Examples in memory, with what the discrete family reads of them."""

    held: Batch
    read: _Read = field(default_factory=_Read)

    def __post_init__(self) -> None:
        self.labels, self.ids = self.held.y.numpy(), self.held.ids.numpy()
        bytes_ = (self.held.x.flatten(1)[:, :16] * 255).byte().numpy()
        self.digests = np.ascontiguousarray(bytes_).view("V16").reshape(-1)

    def __len__(self) -> int:
        return len(self.held)

    def batch(self, rows: Any) -> Batch:
        return self.held.take([int(r) for r in rows])

    def subset(self, rows: Any) -> Held:
        return Held(self.batch(rows))


def supplies_over(batch: Batch, teacher: Any = None, fingerprint: str = "m0-data") -> Supplies:
    def named(name: str) -> Any:
        assert name == "initial"
        assert teacher is not None, "this shift asks no teacher"
        return teacher

    return Supplies(
        train=Held(batch), held_out={}, classes=("dark", "light"), fingerprint=fingerprint,
        embed=lambda b: b.x.flatten(1), teacher=named,
    )  # fmt: skip


class Grey:
    """A quantiser by hand: every value to the nearest of `levels` steps; idempotent."""

    name, key, lite, perplexity = "grey", "grey", True, 4.0

    def __init__(self, levels: int = 4) -> None:
        self.levels = levels

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        codes = (x * self.levels).round().long()
        return codes / self.levels, codes[:, 0]


class Slope:
    """A teacher by hand: logits (0, w.x); its loss falls or rises along w, the same everywhere."""

    def __init__(self, weight: Tensor, bias: float = 0.0) -> None:
        self.weight, self.bias, self.calls = weight, bias, 0

    def __call__(self, batch: Batch, hidden: Any = ()) -> Output:
        self.calls += 1
        assert isinstance(batch.x, Tensor)
        light = (batch.x * self.weight).flatten(1).sum(1) + self.bias
        logits = torch.stack([torch.zeros_like(light), light], dim=1)
        return Output(batch.x.flatten(1), {"main": logits})
