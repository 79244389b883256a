"""What the engine asks of a pretrained network, whatever its library or modality."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError


@dataclass(frozen=True)
class Encoded:
    """The pooled embedding (B, D), the asked-for block outputs, and the token mask if there are tokens.

    `own` holds the features of heads that have the top of the network for themselves (`branch`).
    """

    features: Tensor
    hidden: Mapping[int, Tensor] = field(default_factory=dict)
    mask: Tensor | None = None
    own: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Rate:
    """Learning rate and weight decay of one parameter group, the AdamW defaults of METHODS 1.10."""

    lr: float
    weight_decay: float = 0.0


class Backbone(Protocol):
    """The only code that knows the modality.

    Attributes:
        network: the library's own module. A tuning may wrap it in place (peft does).
        width: D of the pooled features.
        family: names the space that `embed` maps into; models of one family read each other's batches.
        rates: default learning rate and weight decay for the groups "backbone", "adapter", "head".
    """

    network: nn.Module
    width: int
    rates: Mapping[str, Rate]

    @property
    def family(self) -> str:
        """The space's name."""
        ...

    def embed(self, batch: Batch) -> Batch:
        """Raw pixels or strings to this model's differentiable input."""
        ...

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features of a raw or embedded batch, with the outputs of the blocks in `hidden`."""
        ...

    def blocks(self) -> Sequence[nn.Module]:
        """The network's blocks from input to output."""
        ...

    def taps(self) -> tuple[int, ...]:
        """The blocks whose outputs feature terms compare by default (METHODS 1.5)."""
        ...

    def to(self, device: torch.device) -> object:
        """Move the weights, as every torch module does."""
        ...

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """Write network and linear head (C, D), (C,) so that the library's own loader reads them."""
        ...


def depth_fractions(count: int, fractions: Sequence[float] = (0.25, 0.5, 0.75, 1.0)) -> tuple[int, ...]:
    """Zero-based blocks at these depths, by ceil; METHODS 1.5.

    Example:
        >>> depth_fractions(6), depth_fractions(12)
        ((1, 2, 4, 5), (2, 5, 8, 11))
    """
    return tuple(sorted({math.ceil(count * f) - 1 for f in fractions}))


def tapped(backbone: Backbone, layers: Sequence[float | int] = ()) -> tuple[int, ...]:
    """The blocks that feature terms compare: those named, or the backbone's own.

    Args:
        backbone: whose blocks.
        layers: zero-based block indices (int), and depth fractions in (0, 1] (float); () for `taps()`.

    Raises:
        RequestError: an index or a fraction outside the network.
    """
    count = len(backbone.blocks())
    found: set[int] = set()
    for layer in layers:
        inside = 0 < layer <= 1 if isinstance(layer, float) else 0 <= layer < count
        if not inside:
            raise RequestError(
                f"layers: expected depth fractions above 0 and up to 1.0, or block indices from 0 to "
                f"{count - 1}, got {layer}; 1.0 is the last block"
            )
        found |= set(depth_fractions(count, [layer])) if isinstance(layer, float) else {layer}
    return tuple(sorted(found)) or backbone.taps()


@contextlib.contextmanager
def capture(blocks: Sequence[nn.Module], wanted: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Collect the outputs of some blocks, after their residual, during one forward pass."""
    found: dict[int, Tensor] = {}

    def keep(index: int) -> object:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            first = output[0] if isinstance(output, tuple) else output
            assert isinstance(first, Tensor)
            found[index] = first

        return hook

    handles = [blocks[i].register_forward_hook(keep(i)) for i in wanted]  # type: ignore[arg-type]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@runtime_checkable
class HasBlank(Protocol):
    """A backbone that can make an input of its own, to be looked at while it runs once."""

    def blank(self) -> Batch:
        """A raw batch of one blank sample."""
        ...


@runtime_checkable
class ReadsTokens(Protocol):
    """A backbone that cuts a text into tokens and reads so many of them at most."""

    max_length: int

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each whole text, special ones included."""
        ...


def blank_picture(side: int, device: torch.device) -> Batch:
    """One black picture, (1, 3, side, side)."""
    none = torch.zeros(1, dtype=torch.long, device=device)
    return Batch(torch.zeros(1, 3, side, side, device=device), none - 100, none)


def feature_device(network: nn.Module) -> torch.device:
    """Where the network's weights are."""
    return next(network.parameters()).device
