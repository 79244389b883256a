"""How far trained weights are from where they started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tether.models.model import Model

_FACTORS = (".lora_A.", ".lora_B.")


def squared_distance(model: Model, start: Mapping[str, Tensor]) -> Tensor:
    """||w - w_0||^2 over the backbone, a scalar with a gradient; of an adapter, ||s B A||^2.

    The factors of a product are no distance: B A = 0 at the start, whatever A is.

    Args:
        model: whose parameters train.
        start: trained parameter name -> its value at step 0 (`finish.trained_state`).

    Example:
        >>> squared_distance(model, trained_state(model))  # doctest: +SKIP
        tensor(0.)
    """
    moved = [
        (parameter.float() - start[name].float()).square().sum()
        for name, parameter in model.named_parameters()
        if name.startswith("backbone.") and name in start and not any(f in name for f in _FACTORS)
    ]
    return torch.stack([*moved, squared_adapters(model.backbone.network)]).sum()


def squared_adapters(network: nn.Module) -> Tensor:
    """Sum of ||s B A||^2 over the adapted layers, a scalar; 0 without adapters.

    ||B A||^2 = sum((B^T B) * (A A^T)), two r x r products: the matrix B A never exists.
    """
    found = [next(network.parameters()).new_zeros((), dtype=torch.float32)]
    for module in network.modules():
        layer: Any = module
        for name in getattr(layer, "lora_A", ()):
            down = layer.lora_A[name].weight.float().flatten(1)  # (r, in), a convolution's kernel unrolled
            up = layer.lora_B[name].weight.float().flatten(1)  # (out, r)
            with torch.autocast(down.device.type, enabled=False):
                found.append(layer.scaling[name] ** 2 * ((up.T @ up) * (down @ down.T)).sum())
    return torch.stack(found).sum()


def squared_heads(model: Model) -> Tensor:
    """||w_head||^2 over the heads' trained matrices, a scalar; biases and logit scales do not count."""
    weights = [p for p in model.heads.parameters() if p.requires_grad and p.dim() > 1]
    if not weights:
        return next(model.parameters()).new_zeros((), dtype=torch.float32)
    return torch.stack([p.float().square().sum() for p in weights]).sum()
