"""Three places where peft's layers do not quite stand in for the ones they wrap.

**A convolution's shape.** Some networks read stride and kernel off the layer to pad before it (MobileNetV2);
peft's wrapper does not show them.

**Fused attention drifts.** `nn.MultiheadAttention` keeps query, key and value in one bare parameter, so peft
adapts it by adding B A to the base weights before each forward pass and subtracting it after. In floating
point that does not give the old weights back: they drift a little with each step, and with them the initial
model that shares them. Here the sum is handed to the module for one call instead.

**Its output projection counts twice.** peft 0.21 adds that layer's B A to the weight two times, in the
forward pass and in merging, so that W' = W + 2 s B A there. Training here uses W + s B A (METHODS 1.1); what
peft is to merge or to save is put in its own terms first, by the factor the installed version really has.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

SHAPE = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")


def fit_in(network: nn.Module) -> None:
    """Mend shapes and fused attention of a network that peft has just wrapped, in place."""
    from peft.tuners.ia3.layer import Conv2d as ScaledConv2d
    from peft.tuners.lora.layer import Conv2d

    for module in network.modules():
        if isinstance(module, Conv2d | ScaledConv2d):
            for name in SHAPE:
                setattr(module, name, getattr(module.get_base_layer(), name))
    for module in _fused(network):
        module.forward = types.MethodType(_forward, module)  # bound to the module, so that copies follow


def _fused(network: nn.Module) -> list[Any]:
    from peft.tuners.lora.layer import MultiheadAttention

    return [m for m in network.modules() if isinstance(m, MultiheadAttention)]


def _forward(self: Any, query: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Run the attention with W + s B A in place of W, for this call only."""
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


@contextlib.contextmanager
def in_peft_terms(network: nn.Module) -> Iterator[None]:
    """While the block runs, peft's own merging and saving mean what training meant."""
    kept = [
        (p, p.detach().clone()) for m in _fused(network) for p in m.base_layer.out_proj.lora_B.parameters()
    ]
    with torch.no_grad():
        for parameter, value in kept:
            parameter.copy_(value / output_factor())
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)


@functools.cache
def output_factor() -> float:
    """How often the installed peft adds the B A of a fused attention's output projection; measured."""
    import peft

    with torch.random.fork_rng(devices=[]):
        whole = nn.Sequential(nn.MultiheadAttention(2, 1))
        attention: Any = whole[0]
        before = attention.out_proj.weight.detach().clone()
        wrapped: Any = peft.get_peft_model(whole, peft.LoraConfig(r=1, lora_alpha=1, target_modules="0"))
        layer = _fused(wrapped)[0].base_layer.out_proj
        with torch.no_grad():
            for parameter in (*layer.lora_A.parameters(), *layer.lora_B.parameters()):
                parameter.fill_(1.0)
        merged = wrapped.merge_and_unload()
    return float((merged[0].out_proj.weight - before).mean().round())
