"""Which quantiser or autoencoder a shift asks for, and how it gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from tether.errors import RequestError
from tether.shifts.discrete.external import load_external
from tether.shifts.discrete.fit import STEPS, Schedule
from tether.shifts.discrete.keep import Kept, Kind, kept, load
from tether.shifts.discrete.networks import Autoencoder
from tether.shifts.discrete.quantiser import Quantiser
from tether.shifts.supplies import Supplies

Backend = Literal["vq", "patch_kmeans", "diffusers"]


def check_request(asked_by: str, backend: str, weights: str | None, steps: int) -> None:
    """Refuse what cannot work before any data is read.

    Raises:
        RequestError: diffusers without weights, or a number of steps that is none.
    """
    if backend == "diffusers" and weights is None:
        raise RequestError(
            f"{asked_by}: backend diffusers needs the option weights, the folder or hub name of a VQModel"
        )
    if steps < 1:
        raise RequestError(f"{asked_by}.steps: expected at least 1 step, got {steps}; the default is {STEPS}")


def quantiser_of(
    backend: Backend, weights: str | None, steps: int, supplies: Supplies, asked_by: str
) -> Quantiser:
    """The quantiser, made from the training pictures if it has to be.

    Args:
        weights: for "diffusers" a folder or hub name; for the others a folder that `tether shifts train-vq`
            wrote, or None for the one in the cache.
        steps: of training, for "vq".

    Raises:
        RequestError: see `kept`, `load` and `load_external`.
    """
    if backend == "diffusers":
        return load_external(str(weights), supplies.device)
    return cast(Quantiser, _own(backend, weights, steps, supplies, asked_by).network)


def autoencoder_of(weights: str | None, steps: int, supplies: Supplies, asked_by: str) -> Autoencoder:
    """The autoencoder without a codebook, made from the training pictures if it has to be."""
    return cast(Autoencoder, _own("ae", weights, steps, supplies, asked_by).network)


def _own(kind: Kind, weights: str | None, steps: int, supplies: Supplies, asked_by: str) -> Kept:
    if weights is not None:
        return load(Path(weights).expanduser(), kind, supplies.device)
    # The seed is not the run's: all seeds of a comparison, and its test sets, share one discretiser.
    return kept(kind, supplies.train, Schedule(steps=steps), supplies.device, asked_by)
