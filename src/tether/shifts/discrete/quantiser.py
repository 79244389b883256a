"""Quantiser: what turns a picture into a grid of codes and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws

_SLICE = 1 << 20  # pixels taken through a network at once: 20 pictures of 224 px, some 300 MB of activations


class Quantiser(Protocol):
    """A discretiser of pictures (METHODS 3.5).

    Attributes:
        name: of the back end: "vq", "patch_kmeans" or "diffusers".
        key: hash of its weights; caches hang on it.
        lite: whether DAD with it must be reported as DAD-lite: all but external weights.
        perplexity: exp of the entropy of the codes' use on training pictures: how many it uses in effect.
    """

    @property
    def name(self) -> str:
        """The back end."""

    @property
    def key(self) -> str:
        """Hash of the weights."""

    @property
    def lite(self) -> bool:
        """Whether results must say "lite"."""

    @property
    def perplexity(self) -> float:
        """Codes used in effect."""

    def quantise(self, x: Tensor, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Reconstruct pictures from codes.

        Args:
            x: pixels (B, 3, H, W) in [0, 1], float32; any height and width from 8 px on.
            most: use only so many codes, those that training pictures use most; None for all.

        Returns:
            The reconstruction, of x's shape and range, and the codes (B, h, w) int64. No gradient flows.
        """


def nearest(rows: Tensor, codebook: Tensor) -> Tensor:
    """Index of the nearest row of the codebook (K, D) by Euclidean distance, for rows (N, D); (N,) int64.

    Works in slices, for the matrix of all distances would not fit in memory.
    """
    half = codebook.square().sum(1) / 2
    step = max(1, (1 << 24) // len(codebook))
    # |r - c|^2 / 2 without the part that all codes share.
    return torch.cat([(half - part @ codebook.T).argmin(1) for part in torch.split(rows, step)])


def by_use(counts: Tensor) -> Tensor:
    """Codes from the most to the least used, (K,) int64; equal ones in the order of their numbers."""
    return torch.sort(counts, descending=True, stable=True).indices


def perplexity(counts: Tensor) -> float:
    """Exp of the entropy of code counts (K,), in [1, K]."""
    share = counts.double() / counts.double().sum()
    return float(torch.exp(torch.special.entr(share).sum()))


def in_slices(x: Tensor, work: Callable[..., tuple[Tensor, ...]], *more: Tensor) -> tuple[Tensor, ...]:
    """Apply `work` to some pictures at a time, so that memory does not grow with the batch.

    Args:
        x: pictures (B, 3, H, W).
        work: (pictures, more...) -> tensors with the same first dimension.
        more: tensors with a row a picture.
    """
    step = max(1, _SLICE // (x.shape[2] * x.shape[3]))
    parts = [work(*columns) for columns in zip(*(torch.split(t, step) for t in (x, *more)), strict=True)]
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def padded(x: Tensor, factor: int) -> Tensor:
    """Repeat the right and lower border out to a multiple of `factor`."""
    down, right = -x.shape[2] % factor, -x.shape[3] % factor
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


Change = Callable[[Tensor, int, Tensor, Draws], Tensor]


def on_device(change: Change, device: torch.device) -> Change:
    """The same change, made where its network is; the batch's own device gets the result."""

    def moved(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        return change(x.to(device), severity, ids.to(device), draws).to(x.device)

    return moved


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """No gradients, and float32 also inside a step's autocast: a code that flips is another picture."""
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        yield


def state_hash(state: Mapping[str, Tensor]) -> str:
    """Hash of weights by name and content, 16 hex digits."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(state.items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
