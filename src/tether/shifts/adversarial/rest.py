"""A model held still while an attack asks it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


@contextlib.contextmanager
def at_rest(model: Any, device: torch.device) -> Iterator[None]:
    """Eval mode, parameters without gradients, fp32, gradients to the input on; all as before afterwards.

    A view may be made inside any mode of the caller: without gradients while the forwards are traced, under
    bf16 in a step. Parameters' `.grad` are never written: an attack asks `torch.autograd.grad` for its
    input's alone. Teachers are frozen already and in eval mode.

    Args:
        model: the attacked model; flags are kept where it is a torch module.
        device: where the batch is.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    parameters = list(model.parameters()) if isinstance(model, nn.Module) else []
    modes = [m.training for m in modules]
    trained = [p.requires_grad for p in parameters]
    try:
        if isinstance(model, nn.Module):
            model.eval()
        for parameter in parameters:
            parameter.requires_grad_(False)
        with torch.enable_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        # Also after adapters were switched off and on for M_0, which sets these flags by itself.
        for parameter, flag in zip(parameters, trained, strict=True):
            parameter.requires_grad_(flag)
