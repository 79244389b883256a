"""FLYP: fine-tune as the model was pretrained, pictures against the prompts of their classes (Goyal 2023)."""

from __future__ import annotations

from tether import tune
from tether.errors import RequestError
from tether.finish import keep, merge
from tether.methods.method import Method
from tether.objective import contrastive


def flyp(
    positives: bool = False, templates: tuple[str, ...] | None = None, mu: float | None = None
) -> Method:
    """Symmetric InfoNCE over the batch, both towers trained, prediction by the text (METHODS 6, `flyp`).

    The caption of a picture is the mean prompt of its class; the paper draws one of several templates each
    time, which is the same with one template, the default. Needs a model with a text tower. With
    accumulation the negatives are those of a micro-batch.

    Args:
        positives: captions of a picture's class mates are right answers too; as published they are wrong.
        templates: prompts with {} for the class name; null takes the model's.
        mu: interpolate both towers with their start, as WiSE-FT does; null keeps the trained ones.
    """
    wrong = [t for t in templates or () if "{}" not in t]
    if wrong or templates == ():
        raise RequestError(
            f"method.templates: expected texts with {{}} for the class name, got {list(templates or ())}"
        )
    return Method(
        tuning=tune.towers(templates),
        terms=(contrastive(positives=positives),),
        finish=keep if mu is None else merge(mu),
    )
