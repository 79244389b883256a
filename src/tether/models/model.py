"""A backbone and its named heads: what is trained, taught from, and evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch import Tensor, nn

from tether.batch import Batch, Output
from tether.models.backbone import Backbone, Encoded
from tether.models.branch import encode
from tether.models.dropout import Dropout
from tether.models.frozen_norm import freeze_norms

MAIN = "main"
Start = Literal["auto", "probe", "random", "zero_shot"]  # the head at step 0
Switch = Callable[[], AbstractContextManager[None]]


def read(encoded: Encoded, heads: nn.ModuleDict) -> Output:
    """What heads make of an encoded batch; a head with a `trust` of its own logits is asked for it."""
    logits: dict[str, Tensor] = {
        name: head(encoded.own.get(name, encoded.features)) for name, head in heads.items()
    }
    trust = getattr(heads[MAIN], "trust", None) if MAIN in heads else None
    return Output(
        encoded.features,
        logits,
        encoded.hidden,
        encoded.mask,
        None if trust is None else trust(logits[MAIN]),
    )


class Model(nn.Module):
    """A pretrained backbone with one or more heads.

    The base network always runs in eval mode: no dropout, frozen batch-norm statistics (METHODS 0 and
    1.10; clean and shifted inputs in train-mode BN would corrupt the statistics, and the initial teacher
    shares these weights). Parts that a tuning adds and that must follow train/eval go in `follow_mode`; what
    switches them off, so that the model is M_0 again, goes in `switches`.

    Args:
        backbone: any `Backbone`.
        heads: name -> module mapping features (B, D) to logits (B, C); "main" is the one that predicts.
        classes: class names, C of them, in the order of the labels.
    """

    backbone: Backbone
    dropout: Dropout | None

    def __init__(self, backbone: Backbone, heads: Mapping[str, nn.Module], classes: Sequence[str]) -> None:
        super().__init__()
        self.backbone = backbone
        freeze_norms(backbone.network)
        self.heads = nn.ModuleDict(dict(heads))
        self.classes = tuple(classes)
        self.follow_mode: list[nn.Module] = []
        self.switches: list[Switch] = []
        self.unsaved: set[str] = set()  # heads that only a loss reads
        self.dropout = None  # of the trained part; a tuning installs one
        self.rule: Callable[[Model, Batch], Tensor] | None = None  # how a saved model predicts

    def forward(self, batch: Batch, hidden: Sequence[int] = ()) -> Output:
        """Features, logits of every head, and the asked-for block outputs."""
        return read(encode(self.backbone, batch, self.heads, hidden), self.heads)

    def probabilities(self, batch: Batch) -> Tensor:
        """(B, C) by the rule the model was saved with; else the softmax of its main head.

        Example:
            >>> tether.load("runs/emoji").probabilities(batch).argmax(1)  # doctest: +SKIP
        """
        with torch.no_grad():
            if self.rule is not None:
                return self.rule(self, batch)
            return torch.softmax(self(batch).logits[MAIN].float(), dim=-1)

    def train(self, mode: bool = True) -> Model:
        """Set the mode of heads and added parts; the base network stays in eval mode."""
        super().train(mode)
        self.backbone.network.eval()
        for part in self.follow_mode:
            part.train(mode)
        return self

    def parameter_counts(self) -> tuple[int, int]:
        """(trainable, total) parameters of the student, teachers not counted."""
        sizes = [(p.numel(), p.requires_grad) for p in self.parameters()]
        return sum(n for n, tuned in sizes if tuned), sum(n for n, _ in sizes)
