"""Weights of several trainings of one start, mixed: uniform and greedy soups (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.finish.interpolate import trained_state
from tether.finish.judge import Judge, Scores, Start
from tether.models.model import Model
from tether.tune.lora import is_down_projection

OWN = "own"  # the name of the run's own weights among the ingredients


@dataclass(frozen=True)
class Blended:
    """One ingredient: whether it went in, its own scores, and those of the mix after it was tried.

    Scores are None where nothing was judged.
    """

    name: str
    used: bool
    alone: Scores | None = None
    mixed: Scores | None = None


@dataclass(frozen=True)
class Blend:
    """How weights of several trainings become one.

    Attributes:
        apply: (model with the run's own weights, changed in place; ingredient name -> its trained weights;
            the judge) -> what became of each ingredient, the run's own among them.
        looks: how often the judge is asked, of the number of ingredients, the own one counted.
    """

    apply: Callable[[Model, Mapping[str, Start], Judge], list[Blended]]
    looks: Callable[[int], int]


def mean_of(states: Sequence[Start]) -> dict[str, Tensor]:
    """The mean of each weight, in its own precision; computed in float64 where several are summed.

    Raises:
        RequestError: states of unlike names or shapes, which are no trainings of one start; or low-rank
            factors, whose means are not the factors of the mean.
    """
    first = states[0]
    for other in states[1:]:
        if other.keys() != first.keys() or any(other[n].shape != v.shape for n, v in first.items()):
            raise RequestError(
                "soup: expected trainings of one start with the same trained weights, got unlike ones; give "
                "every ingredient the same model, classes and tuning"
            )
    if any(is_down_projection(n) for n in first):
        raise RequestError(
            "soup: low-rank adapters cannot be averaged factor by factor, since the mean of products is not "
            "the product of means; fine-tune fully, or merge the adapters first"
        )
    return {n: torch.stack([s[n].double() for s in states]).mean(0).to(v.dtype) for n, v in first.items()}


def _set(model: Model, state: Start) -> None:
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in state.items():
            parameters[name].copy_(value)


def _all(model: Model, others: Mapping[str, Start]) -> dict[str, Start]:
    own: Start = {n: v.cpu() for n, v in trained_state(model).items()}
    return {OWN: own, **others}


def _uniform(model: Model, others: Mapping[str, Start], judge: Judge) -> list[Blended]:
    states = _all(model, others)
    _set(model, mean_of(list(states.values())))
    return [Blended(name, True) for name in states]


def _greedy(model: Model, others: Mapping[str, Start], judge: Judge) -> list[Blended]:
    states = _all(model, others)
    mean_of(list(states.values()))  # refuse unlike ones before anything is judged
    alone: dict[str, Scores] = {}
    for name, state in states.items():
        _set(model, state)
        alone[name] = judge(model)
    order = sorted(states, key=lambda n: -alone[n].id_val)  # stable: of equal ones the earlier first
    held, best = [order[0]], alone[order[0]].id_val
    rows = [Blended(order[0], True, alone[order[0]], alone[order[0]])]
    for name in order[1:]:
        _set(model, mean_of([states[n] for n in [*held, name]]))
        scores = judge(model)
        good = scores.id_val >= best
        if good:
            held, best = [*held, name], scores.id_val
        rows.append(Blended(name, good, alone[name], scores))
    _set(model, mean_of([states[n] for n in held]))
    return rows


uniform = Blend(_uniform, looks=lambda _count: 0)  # the mean of all
# From the best on ID validation down, each is kept if ID validation of the mean does not drop.
greedy = Blend(_greedy, looks=lambda count: 2 * count - 1)
