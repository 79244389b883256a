"""A bank of generated pictures to mix into others: fractals over coloured 1/f noise (METHODS 5.2)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir
from tether.progress import bar
from tether.shifts.draws import Draws
from tether.shifts.image.fractals import SYSTEMS, fractals

COUNT = 1000  # METHODS 5.2
_VERSION = 1  # of the pictures: raise it when their making changes
_AT_ONCE = 20  # pictures made together; their points take about 100 MB
_CROP = 7 / 8  # the share of a texture's side that is seen


def textures(
    count: int = COUNT, side: int = 128, seed: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """The bank: made once, then read from the cache.

    Args:
        count: pictures.
        side: of each, in pixels.
        seed: another seed, other pictures. The first pictures of a larger bank are those of a smaller one.
        device: where it is held; 49 MB for 1,000 of 128 px.

    Returns:
        (count, 3, side, side) uint8, shared by all who ask: not to be written to.

    Raises:
        RequestError: when count or side is too small, or the cache cannot be written.

    Example:
        >>> textures(count=4, side=64).shape
        torch.Size([4, 3, 64, 64])
    """
    if count < 1 or side < 8:
        raise RequestError(f"textures: expected at least 1 of at least 8 px, got {count} of {side} px")
    return _held(count, side, seed, torch.device(device))


@lru_cache(maxsize=4)
def _held(count: int, side: int, seed: int, device: torch.device) -> Tensor:
    path = cache_dir() / "textures" / f"v{_VERSION}-seed{seed}-{count}x{side}px.npy"

    def build(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, make_textures(count, side, seed).numpy(), allow_pickle=False)

    return torch.from_numpy(np.load(once(path, build), allow_pickle=False)).to(device)


def make_textures(count: int, side: int, seed: int) -> Tensor:
    """The bank itself, without the cache; (count, 3, side, side) uint8."""
    draws = Draws(seed).spawn("textures")
    ids = torch.arange(count)
    out = torch.empty(count, 3, side, side, dtype=torch.uint8)
    with torch.no_grad(), bar(f"making {count} textures", count) as progress:
        for group, maps in enumerate(SYSTEMS[:count]):  # systems of as many maps go together
            for rows in torch.split(ids[group :: len(SYSTEMS)], _AT_ONCE):
                out[rows] = (texture(rows, maps, side, draws) * 255).round().byte()
                progress.advance(len(rows))
    return out


def texture(ids: Tensor, maps: int, side: int, draws: Draws) -> Tensor:
    """Fractals of `maps` maps over noise, every fifth or so noise alone; (N, 3, side, side) in [0, 1]."""
    colour, cover = fractals(ids, maps, side, draws)
    alone = draws.uniform(ids, (1, 1, 1), "alone") < 0.2
    cover = torch.where(alone, 0.0, cover)
    light = torch.where(alone, 1.0, draws.uniform(ids, (1, 1, 1), "light"))  # some stand before black
    return torch.lerp(coloured_noise(ids, side, draws) * light, colour, cover)


def coloured_noise(ids: Tensor, side: int, draws: Draws) -> Tensor:
    """Noise whose amplitude falls as 1 / f^a, a ~ U(0.8, 2), about a random colour; (N, 3, side, side)."""
    white = torch.fft.rfft2(draws.normal(ids, (3, side, side), "noise"))
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None])
    frequency[0, 0] = torch.inf  # no mean
    slope = 0.8 + 1.2 * draws.uniform(ids, (1, 1, 1), "slope")
    noise = torch.fft.irfft2(white * frequency.to(ids.device) ** -slope, s=(side, side))
    noise = noise / noise.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()  # the mean is 0
    # Channels are mixed, so that some pictures are nearly grey and others of many hues.
    blend = draws.normal(ids, (3, 3), "blend")
    noise = torch.einsum("nij,njhw->nihw", blend / blend.norm(dim=2, keepdim=True), noise)
    return (0.2 + 0.6 * draws.uniform(ids, (3, 1, 1), "colour") + 0.22 * noise).clamp(0, 1)


def pick(bank: Tensor, ids: Tensor, draws: Draws, high: int, wide: int) -> Tensor:
    """A texture for each sample: drawn, cropped at a drawn place, resized.

    Args:
        bank: from `textures`.
        ids: of the samples, (B,).
        draws: of the shift.
        high: in pixels.
        wide: in pixels.

    Returns:
        (B, 3, high, wide) float32 in [0, 1] on the device of the ids.
    """
    count, side = len(bank), bank.shape[-1]
    tall, broad = (max(1, round(side * _CROP * n / max(high, wide))) for n in (high, wide))
    which = draws.integers(ids, 0, count, (1, 1), "texture")  # (B, 1, 1)
    room = torch.tensor([side - tall + 1, side - broad + 1], device=ids.device)
    corner = (draws.uniform(ids, (2,), "crop") * room).long()  # (B, 2)
    rows = corner[:, :1] + torch.arange(tall, device=ids.device)
    columns = corner[:, 1:] + torch.arange(broad, device=ids.device)
    at = [t.to(bank.device) for t in (which, rows[:, :, None], columns[:, None, :])]
    crops = bank.permute(0, 2, 3, 1)[at[0], at[1], at[2]]  # (B, tall, broad, 3)
    crops = crops.permute(0, 3, 1, 2).to(ids.device).float() / 255
    return F.interpolate(crops, size=(high, wide), mode="bilinear", antialias=True).clamp(0, 1)


def bank_for(x: Tensor, count: int = COUNT, seed: int = 0) -> Tensor:
    """The bank whose pictures fit images x, (B, 3, H, W): 64 px up to that size, 128 px above."""
    return textures(count, 64 if max(x.shape[-2:]) <= 64 else 128, seed, x.device)
