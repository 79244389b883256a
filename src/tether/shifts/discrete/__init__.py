"""Shifts through a quantiser or an autoencoder that is made from the user's own pictures."""

from __future__ import annotations

from tether.shifts.discrete.adain_ae import ADAIN_AE
from tether.shifts.discrete.backends import check_request
from tether.shifts.discrete.dae import DAE
from tether.shifts.discrete.deepaugment import DEEPAUGMENT
from tether.shifts.discrete.fit import Schedule
from tether.shifts.discrete.keep import Kept, kept
from tether.shifts.discrete.quality import Quality
from tether.shifts.discrete.quantiser import Quantiser
from tether.shifts.discrete.reconstruct import VQ
from tether.shifts.discrete.sheet import check_png, write_examples

MAKERS = (VQ, DAE, ADAIN_AE, DEEPAUGMENT)

__all__ = [
    "MAKERS",
    "Kept",
    "Quality",
    "Quantiser",
    "Schedule",
    "check_png",
    "check_request",
    "kept",
    "write_examples",
]
