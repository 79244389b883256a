"""Embeddings by M_0, made once: unit vectors in the cache, in parts, so that a stopped run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tether.batch import Batch
from tether.data.bundle import fingerprint
from tether.data.examples import Examples
from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir
from tether.progress import bar

Floats = NDArray[np.float32]
PART = 16_384  # samples in one file
RECIPE = 1  # raise it when embeddings are made in another way


def unit_embeddings(
    examples: Examples, embed: Callable[[Batch], Tensor], model: str, batch_size: int, what: str
) -> Floats:
    """norm(phi_0(x)) of every sample (METHODS 5.4).

    Args:
        examples: N samples.
        embed: batch -> features (B, D).
        model: fingerprint of what embeds.
        batch_size: samples a forward pass.
        what: what the progress bar says is embedded.

    Returns:
        (N, D) float32 of length 1; features of zeros stay zeros.

    Raises:
        RequestError: a feature is not finite; the cache cannot be written.
    """
    name = hashlib.blake2b(
        repr((RECIPE, model, fingerprint((), {"": examples}))).encode(), digest_size=16
    ).hexdigest()
    folder = cache_dir() / "embeddings" / name
    parts = []
    with bar(f"embedding {what}", len(examples)) as progress:
        for start in range(0, len(examples), PART):
            stop = min(start + PART, len(examples))

            def build(part: Path, start: int = start, stop: int = stop) -> None:
                made = []
                for first in range(start, stop, batch_size):
                    batch = examples.batch(range(first, min(first + batch_size, stop)))
                    made.append(_unit(embed(batch), what))
                    progress.advance(len(batch))
                with part.open("wb") as f:
                    np.save(f, np.concatenate(made), allow_pickle=False)

            path = once(folder / f"{start:09d}-{stop:09d}.npy", build)
            with path.open("rb") as f:
                parts.append(np.load(f, allow_pickle=False))
            progress.to(stop)
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def _unit(features: Tensor, what: str) -> Floats:
    values: Floats = features.detach().float().cpu().numpy()
    if not np.isfinite(values).all():
        raise RequestError(
            f"retrieved: the model's features of {what} are not all finite; check the weights and the samples"
        )
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(length > 0, length, 1)).astype(np.float32)
