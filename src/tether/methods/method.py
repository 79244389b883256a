"""A method is a value composed of six parts; the engine names none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from tether.errors import RequestError
from tether.finish import Blend, Finish, keep
from tether.finish.average import Averaging
from tether.models.model import Start
from tether.objective import Term
from tether.objective.controller import Controller
from tether.prediction import Predict, softmax_main
from tether.shifts import Mixture, View
from tether.tune import Tuning


@dataclass(frozen=True)
class Initial:
    """The student's own start; with LoRA the same weights with the adapters off.

    Of a student whose head starts at random it is the network under the head that it would start from
    otherwise: a random head has nothing to teach.
    """


@dataclass(frozen=True)
class Trained:
    """A model trained on the same data by another method when there is none in the cache yet.

    Attributes:
        method: its name.
        options: the method's.
        model: what it starts from: a model's name, "small" for the small packaged one of the data's kind, or
            None for the student's own.
        seed: added to the run's; order of samples and draws follow it, the start of the weights does not.
        lr_scale: multiplies every learning rate of the run's recipe.
        patience: looks at ID validation without a better score after which its training ends, at the best
            weights; None leaves it to the run's recipe.
        folds: K > 1 trains K of them, each on all folds of the training set but one, and asks about a
            training sample the one that did not see it; 0 trains one on everything.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    model: str | None = None
    seed: int = 0
    lr_scale: float = 1.0
    patience: int | None = None
    folds: int = 0

    @property
    def times(self) -> int:
        """How many models it trains."""
        return max(1, self.folds)


@dataclass(frozen=True)
class Saved:
    """A teacher from a folder: a tether run or a saved classification model with the same classes."""

    path: str


TeacherSource = Initial | Trained | Saved


def teacher_source(given: str | Mapping[str, Any]) -> Trained | Saved:
    """What an option says of a teacher: a folder, a method's name, or {name: ..., option: ...} of a method.

    Raises:
        RequestError: a mapping without a name.

    Example:
        >>> teacher_source("runs/a")
        Saved(path='runs/a')
    """
    if isinstance(given, str):
        return Saved(given) if "/" in given else Trained(given)
    if "name" not in given:
        raise RequestError(f"teacher: expected a method's name among {sorted(given)}; write {{name: aug_ce}}")
    return Trained(str(given["name"]), {k: v for k, v in given.items() if k != "name"})


@dataclass(frozen=True)
class Method:
    """What the engine runs.

    Attributes:
        tuning: what trains.
        terms: the weighted losses.
        views: view name -> how it is made from the clean batch.
        teachers: teacher name -> where it comes from.
        ingredients: other trainings of the same start, by name, whose weights `blend` may mix in; each is
            trained and cached like a teacher.
        blend: mixes the trained weights with the ingredients', before the finish; None for none.
        finish: what happens to the weights after the last step.
        average: of the weights along the way, which then stands for the last ones; None for none.
        controller: changes the terms' weights on validation; None leaves them.
        reference: a training with the same budget whose ID validation the controller holds on to; None where
            the controller needs none.
        layers: blocks that feature terms compare, as indices or depth fractions (`backbone.tapped`); () for
            the backbone's own.
        predict: probabilities from a model and a batch.
        start: the head at step 0: "probe" (the model's own for these classes, else logistic regression on
            frozen features), "random", "auto" (the model's own, else random), or "zero_shot" (class names
            through the text tower).
        weight_decay: where the config gives none; None leaves each group the backbone's own.

    Raises:
        RequestError: a term needs labels on a view whose shifts all take the label away; a finish that
            interpolates a tuning that lies on no line (see `Tuning.curved`).

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
    ingredients: Mapping[str, Trained] = field(default_factory=dict)
    blend: Blend | None = None
    finish: Finish = keep
    average: Averaging | None = None
    controller: Controller | None = None
    reference: Trained | None = None
    layers: tuple[float | int, ...] = ()
    predict: Predict = softmax_main
    start: Start = "probe"
    weight_decay: float | None = None

    @property
    def to_train(self) -> tuple[Trained, ...]:
        """Other trainings that must be done, or found in the cache, before this one."""
        taught = [source for source in self.teachers.values() if isinstance(source, Trained)]
        reference = () if self.reference is None else (self.reference,)
        return (*taught, *self.ingredients.values(), *reference)

    @property
    def asks_initial_head(self) -> bool:
        """Whether it needs M_0's head and its student starts under another: to be taught, or to go back."""
        taught = any(isinstance(source, Initial) for source in self.teachers.values())
        return self.start == "random" and (taught or self.finish.interpolates)

    def __post_init__(self) -> None:
        if self.finish.interpolates and self.tuning.curved is not None:
            raise RequestError(
                f"method: merging interpolates weights, and those of {self.tuning.name} cannot be: "
                f"{self.tuning.curved}; leave merging out (mu null), or train everything or plain LoRA"
            )
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
