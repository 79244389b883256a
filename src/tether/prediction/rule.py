"""How a model predicts, as a value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch
from tether.models.model import MAIN, Model


@dataclass(frozen=True)
class Predict:
    """One of a method's six parts.

    Attributes:
        name: under which it is found again; with the options it is written beside a saved model.
        run: (model in eval mode, batch) -> probabilities (B, C). It decides which forwards are made.
        options: JSON values, from which the name's maker makes this rule again.
        calibrate: (model, batches) -> the rule with what it learns from them, which its options then hold.
            The batches are ID validation, clean and in the method's views; None where nothing is learnt.

    Example:
        >>> mine = Predict("mine", lambda model, batch: softmax_main.run(model, batch))
        >>> mine.name, mine.calibrate is None
        ('mine', True)
    """

    name: str
    run: Callable[[Model, Batch], Tensor]
    options: Mapping[str, Any] = field(default_factory=dict)
    calibrate: Callable[[Model, Iterable[Batch]], Predict] | None = None

    def settled(self, model: Model, batches: Iterable[Batch]) -> Predict:
        """The rule ready to run: calibrated, if it learns anything."""
        if self.calibrate is None:
            return self
        model.eval()
        with torch.no_grad():
            return self.calibrate(model, batches)


def _softmax(model: Model, batch: Batch) -> Tensor:
    return torch.softmax(model(batch).logits[MAIN].float(), dim=-1)


softmax_main = Predict("main", _softmax)  # probabilities of the main head, in fp32
