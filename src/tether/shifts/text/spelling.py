"""American and British spelling, both ways (METHODS section 5.3)."""

from __future__ import annotations

from functools import cache

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.inflect import as_cased
from tether.shifts.text.rewrite import Edit, by_rule
from tether.shifts.text.tokens import is_free, looks_like_a_name, tokens
from tether.shifts.text.word_lists import rows


@cache
def british() -> dict[str, str]:
    """American word -> British word, every form that lists/spelling.tsv spells out."""
    sets: dict[str, list[str]] = {}
    pairs: dict[str, str] = {}
    for row in rows("spelling"):
        if row[0].startswith("%"):
            sets[row[0]] = row[1].split()
            continue
        us, uk, endings = row
        for ending in sets[endings] if endings in sets else endings.split():
            tail = "" if ending == "-" else ending
            pairs[us + tail] = uk + tail
    return pairs


@cache
def american() -> dict[str, str]:
    """British word -> American word."""
    return {uk: us for us, uk in british().items()}


def find(text: str) -> list[Edit]:
    """Words that the other side spells otherwise; names (Lincoln Center) and parts of longer words stay."""
    shouted = text.isupper()
    edits = []
    for t in tokens(text):
        other = british().get(t.low) or american().get(t.low)
        if other and is_free([t]) and not looks_like_a_name(t, shouted):
            edits.append(Edit(t.start, t.end, (as_cased(t.text, other),)))
    return edits


SHIFTS = (
    Shift("spelling", "spelling", "text", "US and UK spelling exchanged: colour", on_strings(by_rule(find))),
)
