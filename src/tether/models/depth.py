"""Where in a network each parameter is used: below, in, or above which block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tether.models.backbone import Backbone, HasBlank


def depths(backbone: Backbone) -> dict[str, int]:
    """Parameter name -> how many blocks have run before it is first used.

    0 is the stem and the first block, N (the number of blocks) what follows the last one: a final norm, a
    pooler, a projection. A parameter that never runs has depth 0. Found by one forward pass of a blank
    input; for a backbone that can make none, by the order in which the network lists its modules.

    Example:
        >>> depths(backbone)["layernorm.weight"]  # of a transformer with 12 layers  # doctest: +SKIP
        12
    """
    network = backbone.network
    if not isinstance(backbone, HasBlank):
        return _by_listing(network, backbone.blocks())
    started = _started(backbone, backbone.blank())
    found = {}
    for name, _ in network.named_parameters():
        owner = name.rpartition(".")[0]
        # Some layers' weights are read without a call of the layer: their parent runs in their place.
        while owner and owner not in started:
            owner = owner.rpartition(".")[0]
        found[name] = started.get(owner, 0)
    return found


def _started(backbone: Backbone, blank: Any) -> dict[str, int]:
    """Module name -> blocks that were done when it first began."""
    started: dict[str, int] = {}
    done = [0]

    def begins(name: str) -> Any:
        def note(_module: nn.Module, _args: Any) -> None:
            started.setdefault(name, done[0])

        return note

    def ends(_module: nn.Module, _args: Any, _output: Any) -> None:
        done[0] += 1

    handles = [m.register_forward_pre_hook(begins(n)) for n, m in backbone.network.named_modules()]
    handles += [b.register_forward_hook(ends) for b in backbone.blocks()]
    try:
        with torch.no_grad():
            backbone.encode(blank)
    finally:
        for handle in handles:
            handle.remove()
    return started


def _by_listing(network: nn.Module, blocks: Any) -> dict[str, int]:
    within = {id(p): i for i, block in enumerate(blocks) for p in block.parameters()}
    found: dict[str, int] = {}
    above = 0
    for name, parameter in network.named_parameters():
        index = within.get(id(parameter))
        found[name] = above if index is None else index
        above = above if index is None else index + 1
    return found


def sizes(backbone: Backbone, of: Mapping[str, int], least: int) -> int:
    """Numbers in the parameters whose depth is at least `least`."""
    return sum(p.numel() for n, p in backbone.network.named_parameters() if of[n] >= least)
