"""Model soups: the mean of several fine-tunings of one start (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from tether.errors import RequestError
from tether.finish import greedy, uniform
from tether.methods.aug_ce import aug_ce
from tether.methods.lp_ft import lp_ft
from tether.methods.method import Method, Trained
from tether.shifts import Spec

APART = 1000  # between ingredients' seeds, so that two runs of a comparison share none


def soup(
    kind: Literal["greedy", "uniform"] = "greedy",
    lr_scales: tuple[float, ...] = (1.0, 1.0, 0.5, 0.5),
    augmented: tuple[bool, ...] = (False, True, False, True),
    shifts: Sequence[Spec] | None = None,
    severities: tuple[int, ...] = (1, 2, 3),
) -> Method:
    """Several full fine-tunings from the probe that differ in seed, learning rate and augmentation, averaged.

    The first is the run's own; the others are trained before it and cached as teachers are, and the
    summary counts their seconds with the teachers'. What each added is in the run's `blend.jsonl`.

    Args:
        kind: "uniform" is the mean of all; "greedy" goes from the best on ID validation down and keeps an
            ingredient if the mean's ID validation does not drop.
        lr_scales: one an ingredient, times the recipe's rates; as many as there are ingredients, k = 4.
        augmented: whether an ingredient also trains on shifted views (`aug_ce`); as many.
        shifts: of those views; null takes the data's, else the defaults for pictures or texts.
        severities: of those views, 0 to 5.
    """
    if len(lr_scales) != len(augmented) or len(lr_scales) < 2 or lr_scales[0] != 1.0:
        raise RequestError(
            "method.lr_scales: expected at least two numbers, the first of them 1 (the run's own rate is "
            f"train.lr_scale), and as many in method.augmented; got {list(lr_scales)} and {list(augmented)}"
        )
    options = {"tuning": "full", "shifts": shifts, "severities": severities}
    others = {
        f"{i + 1}": Trained("aug_ce", options, seed=i * APART, lr_scale=scale)
        if shifted
        else Trained("lp_ft", {}, seed=i * APART, lr_scale=scale)
        for i, (scale, shifted) in enumerate(zip(lr_scales, augmented, strict=True))
        if i > 0
    }
    own = aug_ce(shifts=shifts, tuning="full", severities=severities) if augmented[0] else lp_ft()
    return replace(own, ingredients=others, blend=greedy if kind == "greedy" else uniform)
