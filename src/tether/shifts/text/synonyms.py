"""Common words exchanged for synonyms, from the project's own list (METHODS section 5.3)."""

from __future__ import annotations

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.lexicon import Row, lexicon
from tether.shifts.text.rewrite import by_rule
from tether.shifts.text.word_lists import rows


def table(name: str, skip: int = 0) -> tuple[Row, ...]:
    """A list of words as rows of a lexicon; `skip` columns at the front are no part of a row."""
    return tuple((r[skip], r[skip + 1], r[skip + 2], r[skip + 3]) for r in rows(name))


SHIFTS = (
    Shift(
        "synonyms",
        "vocabulary",
        "text",
        "common words for synonyms, number and tense kept",
        on_strings(by_rule(lexicon(table("synonyms")))),
        default=False,
    ),
)
