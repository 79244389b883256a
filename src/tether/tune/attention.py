"""Fused attention under LoRA, without touching the base weights.

`nn.MultiheadAttention` keeps query, key and value in one bare parameter, so peft adapts it by adding B A to
the base weights before each forward pass and subtracting it after. In floating point that does not give the
old weights back: they drift a little with each step, and with them the initial model that shares them. Here
the sum is handed to the module for one call instead.
"""

from __future__ import annotations

import types
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


def leave_base_alone(network: nn.Module) -> None:
    """Give every adapted attention of the network the forward pass below, in place."""
    from peft.tuners.lora.layer import MultiheadAttention

    for module in network.modules():
        if isinstance(module, MultiheadAttention):
            module.forward = types.MethodType(_forward, module)  # bound to the module, so that copies follow


def _forward(self: Any, query: Tensor, *args: Any, **kwargs: Any) -> Any:
    base = self.get_base_layer()
    adapters = [a for a in self.active_adapters if a in self.lora_A]
    if self.disable_adapters or self.merged or not adapters:
        return base(query, *args, **kwargs)
    projected, out = base.in_proj_weight, base.out_proj.get_base_layer().weight
    for name in adapters:
        projected = projected + self.get_delta_weight(name).to(projected.dtype)
        out = out + base.out_proj.get_delta_weight(name).to(out.dtype)
    replaced = {"in_proj_weight": projected, "out_proj.base_layer.weight": out}
    return functional_call(base, replaced, (query, *args), kwargs)
