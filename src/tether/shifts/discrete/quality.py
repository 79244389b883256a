"""How good a reconstruction is, and how many codes it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from tether.data import Examples
from tether.progress import bar
from tether.shifts.discrete.pictures import all_pixels, first
from tether.shifts.discrete.quantiser import perplexity

_COUNTED = 1024  # training pictures that the use of codes is counted on


@dataclass(frozen=True)
class Quality:
    """Of reconstructions of training pictures that were kept out of the training of the network.

    Attributes:
        psnr: 10 log10(1 / mean squared error over all these pictures), in dB.
        psnr_of_mean_picture: the same when every picture is answered with the mean training picture.
        perplexity: codes used in effect on the training pictures; None without a codebook.
        codes: size of the codebook; None without one.
        pictures: how many were measured.
    """

    psnr: float
    psnr_of_mean_picture: float
    perplexity: float | None
    codes: int | None
    pictures: int

    def line(self) -> str:
        """The quality in words."""
        words = f"PSNR {self.psnr:.1f} dB (the mean picture {self.psnr_of_mean_picture:.1f} dB)"
        if self.perplexity is not None:
            words += f", perplexity {self.perplexity:.0f} of {self.codes} codes"
        return words

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Quality:
        """The quality that about.json holds."""
        return cls(**{f.name: about["quality"][f.name] for f in fields(cls)})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Counted(Protocol):
    """A quantiser whose use of codes is counted."""

    usage: Tensor

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        """As a Quantiser."""


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [0, 1]; infinite when they are equal."""
    error = float((a - b).square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def count_use(quantiser: Counted, examples: Examples, device: torch.device, limit: int = _COUNTED) -> None:
    """Set `usage`: how often each code is used, over at most `limit` training pictures."""
    usage = torch.zeros_like(quantiser.usage)
    some = first(examples, limit)
    with bar("counting codes", len(some)) as progress:
        for x in all_pixels(some):
            codes = quantiser.quantise(x.to(device))[1].flatten()
            usage += torch.bincount(codes, minlength=len(usage)).to(usage)
            progress.advance(len(x))
    quantiser.usage.copy_(usage)


def measured(
    reconstruct: Callable[[Tensor], Tensor],
    train: Examples,
    kept_out: Examples,
    device: torch.device,
    usage: Tensor | None = None,
) -> Quality:
    """The quality of `reconstruct` on the pictures kept out."""
    mean = torch.stack([x.mean(0) for x in all_pixels(first(train, _COUNTED))]).mean(0)
    x = torch.cat(list(all_pixels(kept_out)))
    rec = torch.cat([reconstruct(part.to(device)).cpu() for part in torch.split(x, 64)])
    return Quality(
        psnr=psnr(rec, x),
        psnr_of_mean_picture=psnr(mean.expand_as(x), x),
        perplexity=None if usage is None else perplexity(usage),
        codes=None if usage is None else len(usage),
        pictures=len(x),
    )
