"""Batch norm that does not train is a scale and an offset, and costs no more than these."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _frozen(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor | None:
    """The layer as a x + b, a = w / sqrt(var + eps), b = bias - a mean; None where it is needed itself."""
    mean, variance, weight, bias = norm.running_mean, norm.running_var, norm.weight, norm.bias
    if norm.training or mean is None or variance is None or weight is None or bias is None:
        return None
    # Without gradients the layer is always the map: the initial model gives the same numbers whether its
    # parameters are marked as trained or not.
    trains = torch.is_grad_enabled() and (weight.requires_grad or bias.requires_grad)
    if trains or x.dtype != weight.dtype:
        return None
    scale = weight * torch.rsqrt(variance + norm.eps)
    shape = (1, -1, *(1,) * (x.dim() - 2))
    return (x * scale.view(shape)).add_((bias - mean * scale).view(shape))


class FrozenNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d`, see `freeze_norms`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, L) of the same shape."""
        out = _frozen(self, x)
        return super().forward(x) if out is None else out


class FrozenNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, see `freeze_norms`."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of the same shape."""
        out = _frozen(self, x)
        return super().forward(x) if out is None else out


KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: FrozenNorm1d,
    nn.BatchNorm2d: FrozenNorm2d,
}


def freeze_norms(network: nn.Module) -> None:
    """Let the batch-norm layers compute a x + b wherever neither statistics, scale nor offset can change.

    torch's own layer in eval mode keeps its input for a gradient of the scale that nobody asks for, which is
    a third of a convolutional network's activations, and sums over it on the way back: five times as slow on
    a CPU. The numbers are the same to rounding, names and parameters stay, and a layer that trains, lacks
    statistics or computes in another precision (autocast) runs as it did. Subclasses are left as they are.

    Example:
        >>> freeze_norms(network)  # doctest: +SKIP
    """
    for module in network.modules():
        kind = KINDS.get(type(module))
        if kind is not None:
            module.__class__ = kind  # in place: what holds the layer (blocks, hooks, adapters) keeps it
