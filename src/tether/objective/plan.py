"""Which forwards a step's terms will ask for, known before they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


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


def teacher_key(name: str) -> str:
    """A teacher's name in a plan."""
    return f"teacher:{name}"
