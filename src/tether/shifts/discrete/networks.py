"""The two small networks trained on the user's pictures: with a codebook, and plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tether.shifts.discrete.blocks import FACTOR, Decoder, Encoder
from tether.shifts.discrete.codebook import Codebook, flat
from tether.shifts.discrete.quantiser import by_use, exact, in_slices, nearest, padded, perplexity

COMMITMENT = 0.25
N = TypeVar("N", bound=nn.Module)


class Autoencoder(nn.Module):
    """Encoder and decoder, f=4: features for AdaIN and for DeepAugment-lite.

    Args:
        width: channels; half of them at half the resolution.
        dim: channels of the latents.
    """

    key: str = ""
    name = "ae"

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.encoder = Encoder(width, dim)
        self.decoder = Decoder(width, dim)

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, dim, h, w) of pixels in [0, 1]; h and w are rounded up."""
        out: Tensor = self.encoder(padded(x, FACTOR) * 2 - 1)
        return out

    def decode(self, z: Tensor, like: Tensor) -> Tensor:
        """Pixels in [0, 1], cut to the height and width of `like`."""
        out: Tensor = self.decoder(z)[:, :, : like.shape[2], : like.shape[3]]
        return ((out + 1) / 2).clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of pixels in [0, 1]."""
        return self.decode(self.encode(x), x)

    def loss(self, x: Tensor, variance: float) -> Tensor:
        """Squared error in units of the pictures' variance; x in [-1, 1], a multiple of 4 px."""
        return F.mse_loss(self.decoder(self.encoder(x)), x) / variance


class VqAutoencoder(nn.Module):
    """The same with a codebook between encoder and decoder; a Quantiser.

    Args:
        width: channels; half of them at half the resolution.
        dim: width of a code.
        codes: how many.
    """

    key: str = ""
    name = "vq"
    lite = True
    usage: Tensor

    def __init__(self, width: int, dim: int, codes: int) -> None:
        super().__init__()
        self.encoder = Encoder(width, dim)
        self.codebook = Codebook(codes, dim)
        self.decoder = Decoder(width, dim)
        # Counted after training: the running counts still hold the fair shares of restarted codes.
        self.register_buffer("usage", torch.ones(codes))

    @property
    def perplexity(self) -> float:
        """Codes used in effect."""
        return perplexity(self.usage)

    @torch.no_grad()
    def rows(self, x: Tensor) -> Tensor:
        """Latents of x in [-1, 1] as rows (N, D)."""
        return flat(self.encoder(x))

    def plain_loss(self, x: Tensor, variance: float) -> Tensor:
        """Squared error without the codebook, in units of the pictures' variance; x in [-1, 1]."""
        return F.mse_loss(self.decoder(self.encoder(x)), x) / variance

    def loss(self, x: Tensor, variance: float) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction plus commitment; x in [-1, 1], a multiple of 4 px.

        Returns:
            The loss, the latents as rows (N, D) without gradient, and their codes (N,).
        """
        z = self.encoder(x)
        quantised, index = self.codebook(z)
        commitment = F.mse_loss(z, quantised.detach())
        loss = F.mse_loss(self.decoder(quantised), x) / variance + COMMITMENT * commitment
        return loss, flat(z.detach()), index.flatten()

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        """As a Quantiser."""
        ranked = by_use(self.usage)[:most]
        vectors = self.codebook.vectors[ranked]

        def work(part: Tensor) -> tuple[Tensor, Tensor]:
            z = self.encoder(padded(part, FACTOR) * 2 - 1)
            index = ranked[nearest(flat(z), vectors)].view(len(part), *z.shape[2:])
            out = self.decoder(self.codebook.look_up(index))[:, :, : part.shape[2], : part.shape[3]]
            return ((out + 1) / 2).clamp(0, 1), index

        with exact(x.device):
            rec, codes = in_slices(x, work)
        return rec, codes


def blank(make: Callable[[], N]) -> N:
    """A network whose random first weights are not taken from the global generator."""
    with torch.random.fork_rng(devices=[]):
        return make()


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)
