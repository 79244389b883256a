"""One step's forward passes, each run when a term first asks, then kept. Where speed lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from tether.batch import Batch, Output, concatenate
from tether.models.model import Model
from tether.shifts import Draws, View

CLEAN = "clean"

Runner = Callable[[Batch, Sequence[int]], Output]  # a student or teacher: batch, block indices -> output


class Forwards(Protocol):
    """What a term sees of one step.

    `hidden` names block outputs by index; "taps" stands for the backbone's default set.
    """

    @property
    def taps(self) -> tuple[int, ...]:
        """The blocks that feature terms compare by default."""
        ...

    @property
    def draws(self) -> Draws:
        """This step's random numbers, keyed by sample."""
        ...

    def batch(self, view: str = CLEAN) -> Batch:
        """The clean batch or a view made from it."""
        ...

    def student(self, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """The student's output; carries the gradient."""
        ...

    def teacher(self, name: str, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """A teacher's output; never has a gradient."""
        ...

    def weights(self) -> Weights:
        """The student's trained weights and where they started; for terms of "weights" alone."""
        ...


@dataclass(frozen=True)
class Weights:
    """The student and its trained parameters at step 0, by name.

    The start costs a copy of what trains; it is made only for a method with a term of "weights".
    """

    model: Model
    start: Mapping[str, Tensor]


@dataclass
class Plan:
    """Which forwards the weighted terms ask for: model name -> view -> block indices.

    Found by running the terms once (`trace`), so that a step can put all views of one model into one pass
    and no method has to say what it needs.
    """

    asked: dict[str, dict[str, set[int]]] = field(default_factory=dict)

    def note(self, who: str, view: str, hidden: Sequence[int]) -> None:
        """Remember one request."""
        self.asked.setdefault(who, {}).setdefault(view, set()).update(hidden)


STUDENT = "student"


class StepForwards:
    """The forwards of one (micro-)batch.

    Args:
        batch: the clean batch.
        views: view name -> how it is made.
        student: runs the student.
        teachers: teacher name -> runs it; called without gradient.
        draws: this step's random numbers.
        taps: the backbone's default blocks.
        plan: what will be asked; None while tracing.
        model: what views made against the student get; None for `student`. With several processes `student`
            is a wrapper that synchronises gradients, which a view's own forwards must not pass through.
        start: the trained parameters at step 0, for terms of "weights"; None when there is no such term.
    """

    def __init__(
        self,
        batch: Batch,
        views: Mapping[str, View],
        student: Runner,
        teachers: Mapping[str, Runner],
        draws: Draws,
        taps: tuple[int, ...],
        plan: Plan | None = None,
        model: Any = None,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._batches: dict[str, Batch] = {CLEAN: batch}
        self._views = views
        self._student = student
        self._model = student if model is None else model
        self._teachers = teachers
        self._draws = draws
        self._taps = taps
        self._plan = plan
        self._start = start
        self._outputs: dict[tuple[str, str], Output] = {}
        self.traced = Plan()

    @property
    def taps(self) -> tuple[int, ...]:
        """The blocks that feature terms compare by default."""
        return self._taps

    @property
    def draws(self) -> Draws:
        """This step's random numbers, keyed by sample."""
        return self._draws

    def batch(self, view: str = CLEAN) -> Batch:
        """The clean batch or a view made from it."""
        if view not in self._batches:
            if view not in self._views:
                raise KeyError(f"view {view!r} is not made by this method; it has {[CLEAN, *self._views]}")
            make = self._views[view]
            self._batches[view] = make(self._batches[CLEAN], self._model, self._teachers, self._draws)
        return self._batches[view]

    def student(self, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """The student's output; carries the gradient."""
        return self._output(STUDENT, self._student, view, hidden)

    def teacher(self, name: str, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """A teacher's output; never has a gradient."""
        if name not in self._teachers:
            raise KeyError(f"teacher {name!r} is not bound; this method has {list(self._teachers)}")
        with torch.no_grad():
            return self._output(f"teacher:{name}", self._teachers[name], view, hidden)

    def weights(self) -> Weights:
        """The student's trained weights and where they started; for terms of "weights" alone."""
        if self._start is None or not isinstance(self._model, Model):
            raise KeyError('the start of the weights is kept only for a term with of="weights"')
        return Weights(self._model, self._start)

    def _output(self, who: str, run: Runner, view: str, hidden: Sequence[int]) -> Output:
        self.traced.note(who, view, hidden)
        kept = self._outputs.get((who, view))
        if kept is not None and set(hidden) <= set(kept.hidden):
            return kept
        for name, output in self._run(who, run, view, hidden):
            self._outputs[who, name] = output
        return self._outputs[who, view]

    def _run(self, who: str, run: Runner, view: str, hidden: Sequence[int]) -> Sequence[tuple[str, Output]]:
        """Run one view, or with a plan every planned view of this model in one pass."""
        planned = self._plan.asked.get(who, {}) if self._plan is not None else {}
        views = list(planned) if view in planned else [view]
        batches = [self.batch(v) for v in views]
        first = batches[0]
        if any(b.space != first.space for b in batches):  # an embedding-space view runs by itself
            views, batches = [view], [self.batch(view)]
        wanted = sorted(set(hidden).union(*(planned.get(v, set()) for v in views)))
        output = run(concatenate(batches), wanted)
        sizes = [len(b) for b in batches]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return [(v, output.rows(s, s + n)) for v, s, n in zip(views, starts, sizes, strict=True)]
