"""What is accepted, and whether enough of it is (METHODS section 5.3: below 30% the family is refused)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tether.errors import RequestError
from tether.shifts.generated.distance import edit_ratio
from tether.shifts.generated.filters import clean, fault
from tether.shifts.generated.writer import Reply, Task

LEAST_RATE = 0.3
ENOUGH = 200  # replies after which a hopeless model is stopped


class Similarity(Protocol):
    """Compares pairs of texts, and knows from where on they are alike."""

    @property
    def what(self) -> str:
        """What it measures, for the counts."""

    @property
    def least(self) -> float:
        """Pairs below it are refused."""

    def __call__(self, sources: Sequence[str], rewrites: Sequence[str]) -> NDArray[np.float64]:
        """One number a pair."""


@dataclass(frozen=True)
class Verdict:
    """Of one reply.

    Attributes:
        text: the cleaned rewrite.
        fault: why it is refused; None when it is accepted.
        edit: edit ratio to its text; 0 where it is refused.
    """

    text: str
    fault: str | None
    edit: float = 0.0


def judged(
    tasks: Sequence[Task], replies: Sequence[Reply], similarity: Callable[[], Similarity]
) -> list[Verdict]:
    """A verdict for each reply; the similarity is asked last, and only about those that pass all else."""
    texts = [clean(reply.text, task.text) for task, reply in zip(tasks, replies, strict=True)]
    faults = [
        fault(task.text, Reply(text, reply.finished))
        for task, text, reply in zip(tasks, texts, replies, strict=True)
    ]
    left = [i for i, why in enumerate(faults) if why is None]
    if left:
        alike = similarity()
        scores = alike([tasks[i].text for i in left], [texts[i] for i in left])
        for i, score in zip(left, scores, strict=True):
            faults[i] = alike.what if score < alike.least else None
    return [
        Verdict(text, why, 0.0 if why else edit_ratio(task.text, text))
        for task, text, why in zip(tasks, texts, faults, strict=True)
    ]


@dataclass
class Tally:
    """Counts of verdicts, by fault."""

    faults: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Count these too."""
        self.total += len(verdicts)
        self.faults.update(v.fault for v in verdicts if v.fault is not None)

    @property
    def accepted(self) -> int:
        """Replies without a fault."""
        return self.total - sum(self.faults.values())

    @property
    def rate(self) -> float:
        """Of all replies, the share that is accepted."""
        return self.accepted / max(self.total, 1)

    def said(self) -> str:
        """The counts in a line."""
        why = ", ".join(f"{name} {n}" for name, n in self.faults.most_common())
        return (
            f"{self.accepted} of {self.total} rewrites accepted ({self.rate:.0%}); refused: {why or 'none'}"
        )

    @property
    def hopeless(self) -> bool:
        """Whether the rate is so far below 30%, by three standard errors, that more replies cannot help."""
        margin = 3 * math.sqrt(LEAST_RATE * (1 - LEAST_RATE) / max(self.total, 1))
        return self.total >= ENOUGH and self.rate < LEAST_RATE - margin

    def check(self, so_far: bool = False) -> None:
        """Refuse the family where too little is accepted.

        Raises:
            RequestError: with the rate and what the others were refused for.
        """
        if self.hopeless if so_far else self.rate < LEAST_RATE:
            raise RequestError(
                f"generated: expected at least {LEAST_RATE:.0%} of the rewrites to pass the filters, "
                f"{self.said()}. Small or untuned language models write such rewrites: use a larger one "
                "that follows instructions, other attributes, or leave this family out."
            )
