"""Styles: channel means and deviations of training pictures in an autoencoder's features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tether.data import Examples
from tether.data.once import once
from tether.files import cache_dir
from tether.progress import bar
from tether.shifts.discrete.networks import Autoencoder
from tether.shifts.discrete.pictures import all_pixels, content_of, first
from tether.shifts.discrete.quantiser import exact, in_slices
from tether.shifts.draws import Draws

_POOL = 4096  # training pictures that lend their style
_FLAT = 1e-5  # added to a deviation before dividing by it


@dataclass(frozen=True)
class Styles:
    """What AdaIN needs of its references.

    Attributes:
        ids: of the training samples, (M,) int64.
        mean: of each channel, (M, C) float32.
        std: of each channel, (M, C) float32.
    """

    ids: Tensor
    mean: Tensor
    std: Tensor

    def drawn(self, ids: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """A reference's mean and std for each sample, (B, C, 1, 1); never the sample's own."""
        row = draws.integers(ids, 0, len(self.ids), (), "reference")
        row = torch.where(self.ids[row] == ids, (row + 1) % len(self.ids), row)
        return self.mean[row][..., None, None], self.std[row][..., None, None]


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of (B, C, h, w) over its positions, (B, C, 1, 1) each."""
    mean = z.mean((2, 3), keepdim=True)
    return mean, (z - mean).square().mean((2, 3), keepdim=True).sqrt()


def adain(z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Features (B, C, h, w) with another picture's channel means and deviations (METHODS 5.2)."""
    own_mean, own_std = moments(z)
    return (z - own_mean) / (own_std + _FLAT) * std + mean


def styles_of(network: Autoencoder, examples: Examples, device: torch.device) -> Styles:
    """Styles of at most 4,096 training pictures, from the cache or computed now."""
    from safetensors.torch import load_file, save_file

    some = first(examples, _POOL)
    key = hashlib.sha256(f"1/{network.key}/{content_of(some)}".encode()).hexdigest()[:16]

    def build(part: Path) -> None:
        parts = []
        with bar("reading styles", len(some)) as progress, exact(device):
            for x in all_pixels(some):
                parts.append(in_slices(x.to(device), lambda part: moments(network.encode(part))))
                progress.advance(len(x))
        mean, std = (torch.cat(column).flatten(1).cpu() for column in zip(*parts, strict=True))
        save_file({"mean": mean.contiguous(), "std": std.contiguous()}, part)

    found = load_file(once(cache_dir() / "autoencoders" / f"styles-{key}.safetensors", build))
    ids = torch.from_numpy(some.ids.copy())
    return Styles(ids.to(device), found["mean"].to(device), found["std"].to(device))
