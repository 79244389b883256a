"""A method is a value composed of six parts; the engine names none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tether.errors import RequestError
from tether.finish import Finish, keep
from tether.finish.average import Averaging
from tether.objective import Term
from tether.objective.controller import Controller
from tether.prediction import Predict, softmax_main
from tether.shifts import Mixture, View
from tether.tune import Tuning


@dataclass(frozen=True)
class Initial:
    """The student's own start; with LoRA the same weights with the adapters off."""


@dataclass(frozen=True)
class Trained:
    """A teacher trained on the same data by another method when there is none in the cache yet.

    Attributes:
        method: its name.
        options: its options.
        model: what it starts from: a model's name, "small" for the small packaged one of the data's kind, or
            None for the student's own.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None


@dataclass(frozen=True)
class Saved:
    """A teacher from a folder: a tether run or a saved classification model with the same classes."""

    path: str


TeacherSource = Initial | Trained | Saved


@dataclass(frozen=True)
class Method:
    """What the engine runs.

    Attributes:
        tuning: what trains.
        terms: the weighted losses.
        views: view name -> how it is made from the clean batch.
        teachers: teacher name -> where it comes from.
        finish: what happens to the weights after the last step.
        average: of the weights along the way, which then stands for the last ones; None for none.
        controller: changes the terms' weights on validation; None leaves them.
        predict: probabilities from a model and a batch.
        start: the head at step 0: "probe" (logistic regression on frozen features) or "random".

    Raises:
        RequestError: a term needs labels on a view whose shifts all take the label away.

    Example:
        >>> from tether.objective import ce
        >>> from tether.tune import full
        >>> Method(tuning=full(), terms=(ce(),)).start
        'probe'
    """

    tuning: Tuning
    terms: tuple[Term, ...] = ()
    views: Mapping[str, View] = field(default_factory=dict)
    teachers: Mapping[str, TeacherSource] = field(default_factory=dict)
    finish: Finish = keep
    average: Averaging | None = None
    controller: Controller | None = None
    predict: Predict = softmax_main
    start: Literal["probe", "random"] = "probe"

    def __post_init__(self) -> None:
        for term in self.terms:
            for name in term.needs_label if term.weight != 0 else ():
                view = self.views.get(name)
                shifts = (view.shifts or ()) if isinstance(view, Mixture) else ()
                if shifts and not any(s.label_preserving for s in shifts):
                    raise RequestError(
                        f"method.shifts: the term {term.name} needs labels on the view {name!r}, "
                        f"but {', '.join(s.name for s in shifts)} takes them away; add a shift that keeps "
                        "them, or choose a loss that asks a teacher instead, such as robust"
                    )
