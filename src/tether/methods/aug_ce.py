"""`aug_ce`: the control that tells distillation's gain from augmentation's."""

from __future__ import annotations

from collections.abc import Sequence

from tether import tune
from tether.methods.method import Method
from tether.methods.student import HeadStart
from tether.objective import ce
from tether.shifts import Spec, several


def aug_ce(
    shifts: Sequence[Spec] | None = None,
    rank: int = 8,
    lora_alpha: float = 16.0,
    weight: float = 1.0,
    tuning: str = "lora",
    views: int = 1,
    severities: tuple[int, ...] = (1, 2, 3),
    variant: tune.Variant = "lora",
    start: HeadStart = "auto",
    shifted_fraction: float = 1.0,
) -> Method:
    """The student of RDFT, its shifted views, and ordinary cross-entropy on both (METHODS 1.4).

    Args:
        shifts: training shifts, each a name or {name: ..., weight: ..., options}; null takes the data's,
            else the defaults for pictures or texts. At least one must keep the label.
        weight: of the cross-entropy on the shifted views.
        tuning: "lora" as RDFT, or "full".
        views: V, shifted views of each sample, whose cross-entropy is averaged.
        severities: 0 to 5, drawn per sample and view.
        variant: of the adapters (see `tune.lora`).
        start: the student's head at step 0: "auto" takes one that the model brings for these classes, else a
            random one; "probe" fits a linear probe where it brings none.
        shifted_fraction: the chance of each sample to be shifted in a step, as RDFT's.
    """
    shifted = several(views, shifts, severities, fraction=shifted_fraction)
    return Method(
        tuning=tune.lora(rank, lora_alpha, variant=variant) if tuning == "lora" else tune.full(),
        terms=(ce(), ce(weight, view=tuple(shifted), name="ce_shifted")),
        views=shifted,
        start=start,
    )
