"""Linear heads; the standardisation of the features they were fitted on travels with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LinearHead(nn.Module):
    """logits = W ((phi - mean) / std) + b.

    `mean` and `std` are constants (METHODS 1.2: the linear probe standardises features and stores both),
    so that training starts from a well-conditioned copy of the probe. `folded` gives the plain W, b.

    Args:
        width: D, features in.
        classes: C, logits out.
        bias: False keeps b and the mean at 0: for libraries whose classification layer has no bias.

    Example:
        >>> LinearHead(4, 3)(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    bias: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, width: int, classes: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, width))
        if bias:
            self.bias = nn.Parameter(torch.zeros(classes))
        else:
            self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, C) of features (B, D)."""
        return nn.functional.linear((features - self.mean) / self.std, self.weight, self.bias)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (C, D) and bias (C,) of the same map on raw features."""
        with torch.no_grad():
            weight = self.weight / self.std
            return weight.clone(), (self.bias - weight @ self.mean).clone()


def random_head(width: int, classes: int, seed: int, bias: bool = True) -> LinearHead:
    """A head with torch.nn.Linear's usual uniform initialisation, from its own generator.

    The generator is local so that a run's other draws do not move when the head is made.
    """
    head = LinearHead(width, classes, bias)
    generator = torch.Generator().manual_seed(seed)
    bound = width**-0.5
    with torch.no_grad():
        head.weight.uniform_(-bound, bound, generator=generator)
        if bias:
            head.bias.uniform_(-bound, bound, generator=generator)
    return head


def linear_head(weight: Tensor, bias: Tensor | None) -> LinearHead:
    """A head from a saved plain weight (C, D) and bias (C,), if it had one."""
    head = LinearHead(weight.shape[1], weight.shape[0], bias is not None)
    with torch.no_grad():
        head.weight.copy_(weight)
        if bias is not None:
            head.bias.copy_(bias)
    return head
