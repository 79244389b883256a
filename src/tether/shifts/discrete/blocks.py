"""Encoder and decoder shared by the VQ autoencoder and the plain one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FACTOR = 4  # one latent position stands for 4 x 4 pixels (METHODS 3.5)


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x)))), with half the channels in the middle.

    No normalisation layer: statistics of a picture or a batch would tie pixels to each other, and a
    reconstruction must not depend on the batch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width // 2, 3, padding=1)
        self.back = nn.Conv2d(width // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, h, w) to the same shape."""
        out: Tensor = x + self.back(F.relu(self.wide(F.relu(x))))
        return out


class Encoder(nn.Module):
    """Pixels (B, 3, H, W) in [-1, 1] to latents (B, dim, H/4, W/4)."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, FACTOR, stride=FACTOR),
            Residual(width),
            Residual(width),
            nn.Conv2d(width, dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Latents."""
        out: Tensor = self.layers(x)
        return out


class Decoder(nn.Module):
    """Latents (B, dim, h, w) to pixels (B, 3, 4h, 4w), meant for [-1, 1] but not clipped."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(dim, width, 3, padding=1),
            Residual(width),
            Residual(width),
            nn.Conv2d(width, 3 * FACTOR**2, 3, padding=1),
            nn.PixelShuffle(FACTOR),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Pixels."""
        out: Tensor = self.layers(z)
        return out


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """He-normal weights and zero biases from this generator; the global one is neither read nor moved."""
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                fan_in = math.prod(layer.weight.shape[1:])
                noise = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.copy_(noise * math.sqrt(1 / fan_in))
                if layer.bias is not None:
                    layer.bias.zero_()
            if isinstance(layer, Residual):  # a new block starts as nearly the identity
                layer.back.weight.mul_(0.1)
