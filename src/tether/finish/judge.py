"""What a finish may know: validation scores, never a test set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from tether.models.model import Model

Start = Mapping[str, Tensor]  # trained parameter name -> its value at step 0
Judge = Callable[[Model], "Scores"]


@dataclass(frozen=True)
class Scores:
    """Accuracies on ID validation, of `count` samples, and on OOD validation (None when there is none)."""

    id_val: float
    ood_val: float | None
    count: int = 0


@dataclass(frozen=True)
class Finished:
    """What a finish did.

    Attributes:
        chosen: the interpolation weight, None when the trained weights were kept.
        curve: (mu, scores) of every candidate tried.
    """

    chosen: float | None = None
    curve: tuple[tuple[float, Scores], ...] = field(default_factory=tuple)


@dataclass(frozen=True)
class Finish:
    """What happens to the weights after the last step.

    Attributes:
        apply: (model, changed in place; its trained parameters at step 0; the judge) -> what was done.
        judged: how many candidates it asks the judge about.
        interpolates: whether it walks the line from the parameters' start to their end.
    """

    apply: Callable[[Model, Start, Judge], Finished]
    judged: int = 0
    interpolates: bool = False


def _keep(model: Model, start: Start, judge: Judge) -> Finished:
    return Finished()


keep = Finish(_keep)  # the trained weights as they are
