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
    teacher_model: str | None = "small",
    temperature: float = 4.0,
    shifts: Sequence[Spec] | None = None,
    severities: tuple[int, ...] = (1, 2, 3),
) -> Method:
    """CE + KD from the robust teacher on all data, one head, no teacher of clean data (METHODS 4.6).

    Args:
        fraction: f, the share of the parameters that may train (METHODS 4.1).
        robust_teacher: a folder, a method to train it with, or {name: ..., options}; null trains the
            small one of `three_head` (`robust_teacher`) on the same views.
        teacher_model: what that one starts from: a model's name; "small" for mobilenet-v2 on pictures and
            minilm-l3 on texts; null for the student's own.
        temperature: T of both distillations.
        shifts: the augmentation, each a name or {name: ..., weight: ..., options}; null takes the data's,
            else augmix and pixmix for pictures and the default train shifts for texts.
        severities: 0 to 5, drawn per sample.
    """
    return one_head("robust", fraction, robust_teacher, teacher_model, temperature, shifts, severities)
