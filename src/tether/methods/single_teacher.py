"""Single teacher: a robust teacher distilled on clean and augmented data (document 003's baseline)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tether.methods.method import Method
from tether.methods.one_head import one_head
from tether.shifts import Spec


def single_teacher(
    fraction: float = 0.1,
    robust_teacher: str | Mapping[str, Any] | None = None,
    temperature: float = 4.0,
    shifts: Sequence[Spec] | None = None,
    severities: tuple[int, ...] = (1, 2, 3),
) -> Method:
    """CE + KD from the robust teacher on all data, one head, no teacher of clean data (METHODS 4.6).

    Args:
        fraction: f, the share of the parameters that may train (METHODS 4.1).
        robust_teacher: a folder, a method to train it with, or {name: ..., options}; null fine-tunes the
            same backbone fully with `aug_ce` on the same views.
        temperature: T of both distillations.
        shifts: the augmentation, each a name or {name: ..., weight: ..., options}; null takes the data's,
            else the defaults for pictures or texts.
        severities: 0 to 5, drawn per sample.
    """
    return one_head("robust", fraction, robust_teacher, temperature, shifts, severities)
