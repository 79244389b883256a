"""The small robust teacher of document 003: everything trains, on clean and augmented data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tether import tune
from tether.methods.method import Method
from tether.objective import ce
from tether.shifts import Modality, Spec, several

# METHODS 4.4: AugMix with PixMix, the best of the document's recipes. Texts take the train shifts there are.
AUGMENTED: Mapping[Modality, Sequence[str]] = {"image": ("augmix", "pixmix")}


def robust_teacher(shifts: Sequence[Spec] | None = None, severities: tuple[int, ...] = (1, 2, 3)) -> Method:
    """Full fine-tuning with cross-entropy on clean and augmented inputs (document 003, 4.2; METHODS 4.4).

    Meant for a small model that then teaches a large one (`three_head`). Departure: AugMix + PixMix instead
    of AugMix + DeepAugment, which needs image-to-image networks and was weaker in the document's Table 4.

    Args:
        shifts: of the augmented data, each a name or {name: ..., options}; null takes the data's, else
            augmix and pixmix for pictures and the default train shifts for texts.
        severities: 0 to 5, drawn per sample.
    """
    views = several(1, shifts, severities, usual=AUGMENTED)
    return Method(
        tuning=tune.full(), terms=(ce(0.5), ce(0.5, view="shifted", name="ce_shifted")), views=views
    )
