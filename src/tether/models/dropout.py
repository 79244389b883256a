"""Dropout in the trained part of a model, in training and in Monte-Carlo passes (METHODS 4.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from tether.batch import Batch
from tether.models.backbone import Backbone
from tether.models.discover import is_convolutional
from tether.models.prefix import cuts
from tether.models.undropped import Repeated, undropped_once
from tether.shifts import Draws


class Dropout(nn.Module):
    """Zeroes elements with probability p and scales the rest by 1 / (1 - p), from block `start` on.

    Active in train mode, where its draws come from the step's random state as those of any dropout layer,
    and within `passing`, where they belong to (sample, pass, place, element): the same in any batch, order
    and padding. Elsewhere it is the identity. It acts where the network's own dropout layers stand (their
    own rate is 0, as the base network is always in eval mode), at the output of a block that has none, and
    at the input of every head. It has no weights, and is not part of the network that is saved.

    Args:
        p: probability in [0, 1).
        start: the first block that it acts in; the frozen blocks before it have none.
        convolutional: whether a (B, C, H, H) tensor is a picture's map; in a transformer it is an attention
            map, whose places depend on the padding, and is left alone.
    """

    def __init__(self, p: float, start: int, convolutional: bool) -> None:
        super().__init__()
        self.p = p
        self.start = start
        self._convolutional = convolutional
        self._passing: tuple[Draws, Tensor] | None = None
        self._acted = False  # in the present call of a block
        self._dropped = False  # in the present pass
        self._cuts: bool | None = None

    @contextlib.contextmanager
    def passing(self, draws: Draws, ids: Tensor) -> Iterator[None]:
        """Inside, forwards of the samples `ids` (B,) are one Monte-Carlo pass."""
        self._passing, self._dropped = (draws, ids), False
        try:
            yield
        finally:
            self._passing = None

    def forward(self, x: Tensor, place: str) -> Tensor:
        """Drop elements of x (B, ...), or give it back where dropout is off."""
        if self._passing is not None:
            draws, ids = self._passing
            self._dropped = True
            keep = draws.uniform(ids.to(x.device), tuple(x.shape[1:]), place) >= self.p
            return x * keep.to(x.dtype) / (1.0 - self.p)
        return nn.functional.dropout(x, self.p, self.training)

    def frozen_part(self, backbone: Backbone, batch: Batch) -> int:
        """Blocks below `start` that may run once for many passes: all, or none (`prefix.cuts`)."""
        if self._cuts is None:
            self._cuts = cuts(backbone, batch.take([0]), self.start)
        return self.start if self._cuts else 0

    @contextlib.contextmanager
    def repeated(self, backbone: Backbone) -> Iterator[Repeated]:
        """For many passes over one batch: what comes before anything is dropped runs once.

        The frozen blocks are not looked into: `prefix.once` leaves them out whole, and holds less.
        """
        frozen = {m for block in backbone.blocks()[: self.start] for m in block.modules()}
        modules = [m for m in backbone.network.modules() if m is not backbone.network and m not in frozen]
        with undropped_once(modules, lambda: self._dropped, _Place) as found:
            yield found

    def _is_state(self, x: Tensor) -> bool:
        """Whether this is what a block works on, not an attention map or a table all samples share."""
        if self._passing is not None and len(x) != len(self._passing[1]):
            return False
        if x.dim() == 4:
            return self._convolutional or x.shape[-1] != x.shape[-2]
        return x.dim() == 3

    def _within(self, x: Tensor, place: str) -> Tensor:
        if not self._is_state(x):
            return x
        self._acted = True
        return self.forward(x, place)


class _Place:
    """Hooks at one place; a class, because a copy of the model must get hooks of its own."""

    def __init__(self, layer: Dropout, name: str) -> None:
        self.layer = layer
        self.name = name

    def inside(self, _module: nn.Module, _args: Any, output: Tensor) -> Tensor:
        return self.layer._within(output, self.name)

    def block_begins(self, _module: nn.Module, _args: Any) -> None:
        self.layer._acted = False

    def block_ends(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        if self.layer._acted:
            return output
        if isinstance(output, Tensor):
            return self.layer(output, self.name)
        return (self.layer(output[0], self.name), *output[1:])

    def head(self, _module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.layer(args[0], self.name), *args[1:])


def install(backbone: Backbone, heads: nn.ModuleDict, p: float, start: int) -> Dropout:
    """Hang a `Dropout` into the blocks from `start` on and before every head; all heads share their draws."""
    blocks = list(backbone.blocks())
    layer = Dropout(p, start, is_convolutional(blocks))
    for index, block in enumerate(blocks[start:], start):
        whole = _Place(layer, f"block{index}")
        block.register_forward_pre_hook(whole.block_begins)
        for name, module in block.named_modules():
            if isinstance(module, nn.Dropout):
                module.register_forward_hook(_Place(layer, f"block{index}/{name}").inside)
        block.register_forward_hook(whole.block_ends)
    for head in heads.values():
        head.register_forward_pre_hook(_Place(layer, "head").head)
    return layer
