"""What a network is made of, found by looking at it: its blocks, its last layer, its kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.models.backbone import depth_fractions


def find_blocks(network: nn.Module) -> list[nn.Module]:
    """The longest outermost list of like modules: transformer layers, or the stages of a staged network.

    Outermost, because a staged network (ConvNeXt, Swin) keeps a list of layers inside each stage, and the
    longest of those is one stage's, not the network's. Lists come before sequences: networks that have
    both use a sequence for small things.

    Raises:
        RequestError: when there is no such list.
    """
    for container in (nn.ModuleList, nn.Sequential):
        lists = [list(m.children()) for m in _outermost(network, container)]
        alike = [found for found in lists if len({type(m) for m in found}) == 1]
        mixed = [found for found in lists if len(found) > 1]  # some networks mix two kinds of block
        if alike or mixed:
            return max(alike or mixed, key=len)
    raise RequestError(
        f"found no list of blocks in {type(network).__name__}; expected a ModuleList or a Sequential of like "
        "modules, input to output; with tether.wrap, name them: blocks=[...]"
    )


def _outermost(network: nn.Module, container: type[nn.Module]) -> list[nn.Module]:
    if isinstance(network, container):
        return [network]
    return [m for child in network.children() for m in _outermost(child, container)]


def is_convolutional(blocks: Sequence[nn.Module]) -> bool:
    """Whether most of the blocks' weight layers are convolutions; rates and taps depend on it."""
    inside = [m for block in blocks for m in block.modules()]
    convolutions = sum(isinstance(m, nn.Conv2d) for m in inside)
    return convolutions > sum(isinstance(m, nn.Linear) for m in inside)


def stage_ends(hidden: Mapping[int, Tensor]) -> tuple[int, ...]:
    """The blocks after which the picture shrinks, and the last: the stage outputs METHODS 1.5 asks of a CNN.

    Args:
        hidden: every block's output; maps are (B, C, H, W). Token outputs (B, T, D) have no stages and are
            taken at depths 1/4 to 1.

    Example:
        >>> sizes = (16, 8, 8, 4)
        >>> stage_ends({i: torch.zeros(1, 2, s, s) for i, s in enumerate(sizes)})
        (0, 2, 3)
    """
    count = len(hidden)
    if any(h.dim() != 4 for h in hidden.values()):
        return depth_fractions(count)
    sides = [hidden[i].shape[-1] for i in range(count)]
    ends = [i for i in range(count) if i == count - 1 or sides[i + 1] != sides[i]]
    return tuple(ends[-4:])  # strides 4, 8, 16 and 32; an earlier end is still the stem's resolution


@dataclass(frozen=True)
class Slot:
    """A place in a network that holds its classification layer.

    While tether trains, a head of ours does that layer's work: the place holds an identity (which neither
    trains nor counts), and what arrives there is the features.
    """

    parent: nn.Module
    attribute: str

    def put(self, layer: nn.Module) -> None:
        """Set the layer."""
        setattr(self.parent, self.attribute, layer)

    @contextlib.contextmanager
    def listen(self) -> Iterator[list[Tensor]]:
        """Collect what arrives at the place during forward passes."""
        heard: list[Tensor] = []
        layer = self.parent.get_submodule(self.attribute)
        handle = layer.register_forward_pre_hook(lambda _module, args: heard.append(args[0]))
        try:
            yield heard
        finally:
            handle.remove()


Plain = tuple[Tensor, Tensor | None]  # weight (C, D) and bias (C,) of a linear layer, if it has one


def take_off(network: nn.Module, outputs: int) -> tuple[Slot, Plain]:
    """Replace the classification layer, the last linear one with `outputs` outputs, by an identity.

    Raises:
        RequestError: when there is none.
    """
    found = [
        (n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear) and m.out_features == outputs
    ]
    if not found:
        raise RequestError(
            f"expected a classification model whose last layer is linear with {outputs} outputs, got "
            f"{type(network).__name__}; use it as an encoder with pooling=mean or pooling=cls"
        )
    name, layer = found[-1]
    parent, _, attribute = name.rpartition(".")
    slot = Slot(network.get_submodule(parent), attribute)
    slot.put(nn.Identity())
    return slot, (layer.weight.detach(), None if layer.bias is None else layer.bias.detach())


def linear_layer(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A plain layer with these weights (C, D), (C,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
