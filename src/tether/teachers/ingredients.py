"""Other trainings of a run's start, whose weights are mixed with its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from tether.finish import trained_state
from tether.methods import Method
from tether.teachers.trained import Making, trained_model


@dataclass(frozen=True)
class Ingredient:
    """A finished training: its trained weights on the host, and its seconds, cached or not."""

    state: Mapping[str, Tensor]
    seconds: float
    cached: bool


def ingredients(method: Method, making: Making) -> dict[str, Ingredient]:
    """Each of the method's other trainings, from the cache or trained now; one model at a time is held."""
    found: dict[str, Ingredient] = {}
    for name, source in method.ingredients.items():
        built = trained_model(f"ingredient {name}", source, making)
        state = {n: value.cpu() for n, value in trained_state(built.model).items()}
        found[name] = Ingredient(state, built.seconds, built.cached)
    return found
