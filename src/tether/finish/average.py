"""Averages of the weights along the way: EMA and SWA (METHODS section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from tether.errors import RequestError

Parameters = Mapping[str, nn.Parameter]


class Running(Protocol):
    """An average that grows with the steps; a checkpoint holds its state."""

    def update(self, done: int, total: int, per_epoch: int) -> None:
        """Look at the weights after `done` of `total` steps."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        ...

    def apply(self) -> None:
        """Set the weights to the average."""
        ...


@dataclass(frozen=True)
class Averaging:
    """How trained weights are averaged while they train.

    Attributes:
        begin: the trained parameters by name -> the running average.
        tail: the last fraction of the steps, in which the learning rate stays constant; SWA averages there.
    """

    begin: Callable[[Parameters], Running]
    tail: float = 0.0


class _Mean:
    """A weighted mean per parameter, kept in float32 beside it, and how much weight it holds."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._mean = {n: torch.zeros_like(p, dtype=torch.float32) for n, p in parameters.items()}
        self._weight = 0.0

    def _add(self, keep: float) -> None:
        """Mean <- keep * mean + (1 - keep) * now; starts at 0, so `apply` divides by the weight held."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                self._mean[name].lerp_(parameter.detach().float(), 1.0 - keep)
        self._weight = keep * self._weight + (1.0 - keep)

    def state(self) -> dict[str, Tensor]:
        weight = torch.tensor([self._weight], dtype=torch.float64)
        return {"weight": weight, **{f"mean/{n}": m for n, m in self._mean.items()}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        self._weight = float(state["weight"][0])
        for name, mean in self._mean.items():
            mean.copy_(state[f"mean/{name}"])

    def apply(self) -> None:
        if self._weight == 0.0:  # no step fell into the averaged part: the last weights stay
            return
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._mean[name] / self._weight)


class _Ema(_Mean):
    def __init__(self, parameters: Parameters, decay: float) -> None:
        super().__init__(parameters)
        self._decay = decay

    def update(self, done: int, total: int, per_epoch: int) -> None:
        self._add(self._decay)


class _Swa(_Mean):
    def __init__(self, parameters: Parameters, last: float) -> None:
        super().__init__(parameters)
        self._last = last
        self._count = 0

    def update(self, done: int, total: int, per_epoch: int) -> None:
        if done > (1.0 - self._last) * total and (done % per_epoch == 0 or done == total):
            self._add(self._count / (self._count + 1.0))
            self._count += 1

    def state(self) -> dict[str, Tensor]:
        return {"count": torch.tensor([self._count]), **super().state()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        super().load(state)
        self._count = int(state["count"][0])


def ema(decay: float = 0.999) -> Averaging:
    """Exponential moving average, corrected for its start: after k steps the weights of the past sum to 1.

    With LoRA the factors are averaged, not their product.

    Args:
        decay: per step; about the last 1 / (1 - decay) steps count.

    Raises:
        RequestError: a decay outside [0, 1).
    """
    if not 0.0 <= decay < 1.0:
        raise RequestError(f"decay: expected at least 0 and below 1, got {decay}; try 0.999")
    return Averaging(lambda parameters: _Ema(parameters, decay))


def swa(last: float = 0.25) -> Averaging:
    """Mean of the weights at the ends of the epochs in the last part of training, at a constant rate.

    Args:
        last: that part, in (0, 1]. The last step always counts, so that short runs average something.

    Raises:
        RequestError: a part outside (0, 1].
    """
    if not 0.0 < last <= 1.0:
        raise RequestError(f"last: expected above 0 and at most 1, got {last}; try 0.25")
    return Averaging(lambda parameters: _Swa(parameters, last), tail=last)
