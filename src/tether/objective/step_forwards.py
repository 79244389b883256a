"""One step's forward passes, each run when a term first asks, then kept. Where speed lives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from tether.batch import Batch, Output, concatenate
from tether.models.model import Model
from tether.objective.forwards import CLEAN, Part, Runner, Weights
from tether.objective.plan import STUDENT, Plan, teacher_key
from tether.shifts import Draws, View


class Memory(Protocol):
    """A teacher's outputs on clean samples, held from before."""

    def answers(self, hidden: Collection[int]) -> bool:
        """Whether these blocks are held."""
        ...

    def __call__(self, ids: Tensor) -> Output:
        """The outputs of these samples."""
        ...


class Prefix(Protocol):
    """The student's frozen blocks on clean samples, held from before."""

    def answers(self, hidden: Collection[int]) -> bool:
        """Whether a forward that leaves them out can show these blocks."""
        ...

    def __call__(self, ids: Tensor) -> AbstractContextManager[None]:
        """Inside, the student's forwards of these samples leave them out."""
        ...


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
        memory: teacher name -> its outputs on clean samples; those are then recalled, not run.
        prefix: the student's frozen blocks on clean samples, which then need not run.
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
        memory: Mapping[str, Memory] | None = None,
        prefix: Prefix | None = None,
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
        self._memory = {teacher_key(name): m for name, m in (memory or {}).items()}
        self._prefix = prefix
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

    def part(self, view: str) -> Part | None:
        """Which clean rows a view holds; None for all of them."""
        clean, shifted = self.batch().ids, self.batch(view).ids
        if len(shifted) == len(clean):
            return None
        rows = (shifted[:, None] == clean[None, :]).int().argmax(1)  # (b,), the first of equal ids
        fraction = getattr(self._views[view], "fraction", len(shifted) / len(clean))
        return Part(rows, float(fraction))

    def student(self, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """The student's output; carries the gradient."""
        return self._output(STUDENT, self._student, view, hidden)

    def teacher(self, name: str, view: str = CLEAN, hidden: Sequence[int] = ()) -> Output:
        """A teacher's output; never has a gradient."""
        if name not in self._teachers:
            raise KeyError(f"teacher {name!r} is not bound; this method has {list(self._teachers)}")
        with torch.no_grad():
            return self._output(teacher_key(name), self._teachers[name], view, hidden)

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
        planned = self._plan.asked.get(who, {}) if self._plan is not None else {}
        wanted = set(hidden) | planned.get(view, set())
        if self._recalls(who, view, wanted):
            self._outputs[who, view] = self._memory[who](self.batch().ids)
            return self._outputs[who, view]
        if who == STUDENT:
            self._ask_teachers()
        if prefix := self._resumed(who, view, wanted):
            with prefix(self.batch().ids):
                self._outputs[who, view] = run(self.batch(), sorted(wanted))
            return self._outputs[who, view]
        for name, output in self._run(who, run, view, hidden):
            self._outputs[who, name] = output
        return self._outputs[who, view]

    def _ask_teachers(self) -> None:
        """Run what is planned of the teachers before the student's graph takes its memory."""
        if self._plan is None:
            return
        for name in self._teachers:
            for view, hidden in self._plan.asked.get(teacher_key(name), {}).items():
                if not self._recalls(teacher_key(name), view, hidden):
                    self.teacher(name, view, sorted(hidden))

    def _run(self, who: str, run: Runner, view: str, hidden: Sequence[int]) -> Sequence[tuple[str, Output]]:
        """Run one view, or with a plan every planned view of this model in one pass."""
        planned = self._plan.asked.get(who, {}) if self._plan is not None else {}
        views = [v for v in planned if v == view or not self._apart(who, v, planned[v])]
        views = views if view in planned else [view]
        batches = [self.batch(v) for v in views]
        first = batches[0]
        if any(b.space != first.space for b in batches):  # an embedding-space view runs by itself
            views, batches = [view], [self.batch(view)]
        wanted = sorted(set(hidden).union(*(planned.get(v, set()) for v in views)))
        output = run(concatenate(batches), wanted)
        sizes = [len(b) for b in batches]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        return [(v, output.rows(s, s + n)) for v, s, n in zip(views, starts, sizes, strict=True)]

    def _apart(self, who: str, view: str, hidden: Collection[int]) -> bool:
        """Whether this output is had more cheaply than in the common pass."""
        return self._recalls(who, view, hidden) or self._resumed(who, view, hidden) is not None

    def _recalls(self, who: str, view: str, hidden: Collection[int]) -> bool:
        return view == CLEAN and who in self._memory and self._memory[who].answers(hidden)

    def _resumed(self, who: str, view: str, hidden: Collection[int]) -> Prefix | None:
        """What this output may start above, if anything."""
        if self._prefix is None or view != CLEAN or who != STUDENT or not self._prefix.answers(hidden):
            return None
        return self._prefix
