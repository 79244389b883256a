"""From a method's teacher sources to runners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from tether.methods import Initial, Method, Saved, Trained
from tether.models.model import Model
from tether.progress import say
from tether.teachers.cross_fit import cross_fitted
from tether.teachers.initial import initial_teacher
from tether.teachers.reference import judged_by_id
from tether.teachers.saved import saved_teacher
from tether.teachers.trained import Making, Teacher, trained_teacher


def prepare(method: Method, making: Making, classes: tuple[str, ...]) -> dict[str, Teacher]:
    """Load or train every teacher that is a model of its own; the initial one is bound later."""
    found: dict[str, Teacher] = {}
    for name, source in method.teachers.items():
        if isinstance(source, Trained):
            own = making if source.patience is None else stopping_early(making, source.patience)
            make = cross_fitted if source.folds else trained_teacher
            found[name] = make(name, source, own)
            if source.folds and found[name].confidence is not None:
                say(f"{name} teacher: {found[name].confidence:.3f} sure on average of samples it did not see")
        elif isinstance(source, Saved):
            found[name] = saved_teacher(name, source.path, classes, making.engine)
    return found


def stopping_early(making: Making, patience: int) -> Making:
    """The same making, with training that ends when ID validation stops getting better."""
    judge = judged_by_id(making)
    part, on = making.part, making.on
    return replace(
        making,
        recipe=making.recipe.model_copy(update={"patience": patience}),
        made_from={**making.made_from, "stops_by": "id_val"},
        judge=judge,
        part=None if part is None else lambda rows, name: stopping_early(part(rows, name), patience),
        on=None if on is None else lambda name: stopping_early(on(name), patience),
    )


def bind(
    method: Method, model: Model, prepared: Mapping[str, Teacher], head: nn.Module | None = None
) -> dict[str, Teacher]:
    """All of a method's teachers by name; after the tuning and before the first step.

    Args:
        head: M_0's, where the student's own starts at random.
    """
    return {
        name: Teacher(initial_teacher(model, method.tuning, head))
        if isinstance(source, Initial)
        else prepared[name]
        for name, source in method.teachers.items()
    }
