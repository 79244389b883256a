"""Maker: a shift that takes options, as a config names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tether.shifts.recipe import AnyShift
from tether.shifts.shift import Modality


@dataclass(frozen=True)
class Maker:
    """A named function that makes a shift from options; its signature is their schema.

    Attributes:
        name: what configs and reports call it.
        family: as of a Shift.
        modality: "image", "text", or None for both.
        summary: one line for `tether list shifts`.
        make: options -> shift, attack or recipe. Its docstring documents the options.

    Example:
        >>> get({"name": "adv_divergence", "steps": 5}).family  # doctest: +SKIP
        'adversarial'
    """

    name: str
    family: str
    modality: Modality | None
    summary: str
    make: Callable[..., AnyShift]
    default: bool = False
