"""What LoRA can adapt in a network, found by looking at its modules, not by their names (METHODS 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from tether.models.backbone import Backbone, HasBlank


def targets(
    network: nn.Module, blocks: Sequence[nn.Module], takes: Callable[[nn.Module], bool] | None = None
) -> tuple[list[str], list[str]]:
    """Every linear layer, plain convolution and fused attention inside the blocks.

    Embeddings, norms, stems and heads are not adapted (METHODS 1.1). A fused qkv is one linear layer, or the
    one bare weight of an `nn.MultiheadAttention`, which is then adapted whole. A grouped (depthwise) or
    special layer cannot take LoRA.

    Args:
        network: the library's module.
        blocks: of it, input to output.
        takes: of the layers that LoRA can adapt, which a variant of it can.

    Returns:
        (adapted, left out), module names in network order.
    """
    inside = {id(m) for block in blocks for m in block.modules()}
    fused = [m for m in network.modules() if isinstance(m, nn.MultiheadAttention)]
    within = {id(child) for m in fused for child in m.modules() if child is not m}
    adapted: list[str] = []
    left_out: list[str] = []
    for name, module in network.named_modules():
        if id(module) not in inside or id(module) in within or not _is_weight_layer(module):
            continue
        (adapted if _takes_lora(module) and (takes is None or takes(module)) else left_out).append(name)
    return adapted, left_out


def really_run(backbone: Backbone, names: Sequence[str]) -> set[str]:
    """Those of the modules whose forward pass runs when the backbone does.

    Some networks take a layer's weight and do the product themselves (timm's BEiT); an adapter on such a
    layer would never see an input, yet be merged. A backbone without a blank input is believed.
    """
    if not isinstance(backbone, HasBlank):
        return set(names)
    ran: set[str] = set()
    handles = [
        backbone.network.get_submodule(name).register_forward_pre_hook(
            lambda _module, _args, name=name: ran.add(name)
        )
        for name in names
    ]
    try:
        with torch.no_grad():
            backbone.encode(backbone.blank())
    finally:
        for handle in handles:
            handle.remove()
    return ran


def any_transposed(network: nn.Module, names: Sequence[str]) -> bool:
    """Whether one of these layers keeps its weight as (in, out), as GPT-2's do; peft wants to be told."""
    return any(_is_transposed(network.get_submodule(n)) for n in names)


def _is_transposed(module: nn.Module) -> bool:
    from peft.tuners.lora.layer import Conv1D  # GPT-2's linear layer

    return isinstance(module, Conv1D)


def _is_weight_layer(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d | nn.MultiheadAttention) or _is_transposed(module)


def _takes_lora(module: nn.Module) -> bool:
    """Whether peft's B A beside this layer has the layer's shape, and merges into its weight exactly."""
    if isinstance(module, nn.MultiheadAttention):
        return module.in_proj_weight is not None  # else keys or values have a width of their own
    if isinstance(module, nn.Linear):
        return type(module).forward is nn.Linear.forward  # a subclass may do more than W x + b
    if isinstance(module, nn.Conv2d):
        # peft copies kernel, stride and padding only; a subclass may pad, or standardise its weight.
        return (
            type(module) is nn.Conv2d
            and module.groups == 1
            and module.dilation == (1, 1)
            and module.padding_mode == "zeros"
        )
    return True
