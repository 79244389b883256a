"""What a run computes once of its clean samples, within a bound of memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tether.data import Examples
from tether.models.model import Model
from tether.objective import Plan, Runner
from tether.objective.forwards import CLEAN
from tether.objective.plan import STUDENT
from tether.training.device import Engine
from tether.training.frozen import Frozen, frozen_outputs
from tether.training.recall import Recalled, recalled
from tether.training.recipe import TrainConfig

EPOCHS = 2  # with fewer, filling costs what it saves


@dataclass(frozen=True, eq=False)
class Kept:
    """Teachers' outputs by name, and what the student's frozen blocks give."""

    teachers: Mapping[str, Recalled] = field(default_factory=dict)
    prefix: Frozen | None = None


def keep(
    plan: Plan,
    model: Model,
    teachers: Mapping[str, Runner],
    examples: Examples,
    recipe: TrainConfig,
    engine: Engine,
) -> Kept:
    """Fill what `train.cache_mb` has room for; nothing in a run too short to pay for it."""
    budget = recipe.cache_mb * 2.0**20
    steps = recipe.total_steps(len(examples))
    if budget <= 0 or steps * recipe.batch_size < EPOCHS * len(examples):
        return Kept()
    found = recalled(plan, teachers, examples, engine, budget)
    budget -= sum(r.size for r in found.values())
    asks = CLEAN in plan.asked.get(STUDENT, {})
    return Kept(found, frozen_outputs(model, examples, engine, budget) if asks else None)
