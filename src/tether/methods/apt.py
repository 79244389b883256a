"""APT: the upper blocks trained on clean and augmented data without a teacher (document 003's baseline)."""

from __future__ import annotations

from collections.abc import Sequence

from tether import tune
from tether.methods.method import Method
from tether.methods.robust_teacher import AUGMENTED
from tether.objective import ce
from tether.shifts import Spec, several


def apt(
    fraction: float = 0.1,
    shifts: Sequence[Spec] | None = None,
    severities: tuple[int, ...] = (1, 2, 3),
) -> Method:
    """Cross-entropy on clean and augmented inputs, one head, the three-head method's layers (METHODS 4.6).

    The three-head method's dropout serves its Monte-Carlo passes, which one head does not make: none here.

    Args:
        fraction: f, the share of the parameters that may train (METHODS 4.1).
        shifts: the augmentation, each a name or {name: ..., weight: ..., options}; null takes the data's,
            else augmix and pixmix for pictures and the default train shifts for texts.
        severities: 0 to 5, drawn per sample.
    """
    shifted = several(1, shifts, severities, usual=AUGMENTED)
    # Half each: the mean over all examples, B clean and B augmented.
    return Method(
        tuning=tune.tail(fraction),
        terms=(ce(0.5), ce(0.5, view=tuple(shifted), name="ce_shifted")),
        views=shifted,
    )
