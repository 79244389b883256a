"""The shift `vq`: a picture as a quantiser gives it back, with fewer codes at higher severities."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tether.shifts.discrete.backends import Backend, check_request, quantiser_of
from tether.shifts.discrete.external import ExternalVq
from tether.shifts.discrete.fit import STEPS
from tether.shifts.discrete.quality import count_use
from tether.shifts.discrete.quantiser import Quantiser, on_device
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift
from tether.shifts.supplies import Supplies

FAMILY = "discrete"
# Severity 1 has all codes: the plain reconstruction. The others have so many times the perplexity, the
# number of codes in effective use, so that a codebook that is half idle is not halved for nothing.
_PARTS = (math.inf, 4.0, 2.0, 1.0, 1 / 2)
_FEWEST = 2
_COUNTED = 128  # training pictures that an external model's use of codes is counted on; it is slow on a CPU


def most_used(quantiser: Quantiser, severity: int) -> int | None:
    """How many codes, the most used ones, a severity leaves; None for all."""
    part = _PARTS[severity - 1]
    return None if math.isinf(part) else max(_FEWEST, round(part * quantiser.perplexity))


def reconstruction(quantiser: Quantiser, device: torch.device) -> Shift:
    """The shift over a quantiser at hand, whose weights are on `device`.

    Example:
        >>> reconstruction(quantiser, device)(batch, 1, Draws(0)).x.shape  # doctest: +SKIP
        torch.Size([64, 3, 64, 64])
    """

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        return quantiser.quantise(x, most_used(quantiser, severity))[0]

    return Shift("vq", FAMILY, "image", SUMMARY, on_pixels(on_device(change, device)), default=False)


SUMMARY = "reconstructed from the codes of a quantiser; fewer codes at higher severities"


def vq(backend: Backend = "vq", weights: str | None = None, steps: int = STEPS) -> Recipe:
    """A picture as a quantiser gives it back (METHODS 3.5).

    Args:
        backend: "vq", our own small autoencoder, or "patch_kmeans", both made from the training pictures,
            or "diffusers", a VQModel of yours.
        weights: where that VQModel is; for the other two a folder made by `tether shifts train-vq`.
        steps: that the small autoencoder is trained for.

    Raises:
        RequestError: diffusers without weights.

    Example:
        >>> vq(backend="patch_kmeans").family
        'discrete'
    """
    check_request("vq", backend, weights, steps)

    def build(supplies: Supplies) -> Shift:
        quantiser = quantiser_of(backend, weights, steps, supplies, "vq")
        if isinstance(quantiser, ExternalVq):
            count_use(quantiser, supplies.train, supplies.device, _COUNTED)
        return reconstruction(quantiser, supplies.device)

    return Recipe("vq", FAMILY, "image", SUMMARY, build)


VQ = Maker("vq", FAMILY, "image", SUMMARY, vq)
