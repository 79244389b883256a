"""What a term sees of one step: batches, and the outputs of student and teachers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from tether.batch import Batch, Output
from tether.models.model import Model
from tether.shifts import Draws

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

    def part(self, view: str) -> Part | None:
        """Which clean rows a view holds; None for all of them."""
        ...


@dataclass(frozen=True)
class Part:
    """A view of some of the samples.

    Attributes:
        rows: positions in the clean batch, (b,) int64.
        fraction: the chance of a sample to be among them.
    """

    rows: Tensor
    fraction: float


def aligned(f: Forwards, view: str, clean: Output) -> Output:
    """The clean outputs of the samples that a view holds, in its order."""
    part = f.part(view)
    return clean if part is None else clean.take(part.rows)


def spread(f: Forwards, view: str, losses: Tensor) -> Tensor:
    """A view's losses (b,) as losses of the whole batch (B,): 0 for samples that are not in it.

    Divided by the chance of being in the view, so that the mean over the batch is in expectation what it
    would be with every sample shifted, and splitting a batch changes nothing.
    """
    part = f.part(view)
    if part is None:
        return losses
    out = losses.new_zeros(len(f.batch()))
    return out.index_add(0, part.rows, losses / part.fraction)


@dataclass(frozen=True)
class Weights:
    """The student and its trained parameters at step 0, by name.

    The start costs a copy of what trains; it is made only for a method with a term of "weights".
    """

    model: Model
    start: Mapping[str, Tensor]
