"""The frame of the shifts that are rules: find where a rule applies, then pick among those places."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tether.shifts.text.words import pick, split


@dataclass(frozen=True)
class Edit:
    """One place where a rule applies.

    Attributes:
        start: where the old text begins.
        end: where it ends.
        options: what may stand there instead, each as likely; at least one, none the old text.
    """

    start: int
    end: int
    options: tuple[str, ...]


Find = Callable[[str], Sequence[Edit]]


def rewrite(text: str, edits: Iterable[Edit], rng: random.Random | None = None) -> str:
    """Apply edits from left to right; one that overlaps an earlier one is left out.

    Args:
        text: to be changed.
        edits: in any order.
        rng: chooses among an edit's options; the first one without it.
    """
    out, at = [], 0
    for edit in sorted(edits, key=lambda e: (e.start, -e.end)):
        if edit.start < at:
            continue
        new = edit.options[0] if rng is None else rng.choice(edit.options)
        out += [text[at : edit.start], new]
        at = edit.end
    return "".join([*out, text[at:]])


def by_rule(find: Find) -> Callable[[str, int, random.Random], str]:
    """Turn a finder into a change of a text: each place changes with the severity's rate.

    From severity 3 on, one place at least does where the text has one (`words.pick`).

    Example:
        >>> hello = by_rule(lambda text: [Edit(0, 2, ("hello",))] if text.startswith("hi") else [])
        >>> hello("hi my friend", 3, random.Random(0))
        'hello my friend'
    """

    def change(text: str, severity: int, rng: random.Random) -> str:
        edits = find(text)
        chosen = pick(split(text), range(len(edits)), severity, rng)
        return rewrite(text, [edits[i] for i in chosen], rng)

    return change
