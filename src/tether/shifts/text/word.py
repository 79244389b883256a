"""Words lost or out of order."""

from __future__ import annotations

import random

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.words import pick, split


def _dropout(text: str, severity: int, rng: random.Random) -> str:
    """Leave words out, with the white space after them; at least one word stays."""
    words = split(text)
    gone = pick(words, words.free, severity, rng)
    if gone and len(gone) == len(words.at):
        gone.remove(rng.choice(gone))
    pieces = list(words.pieces)
    for i in gone:
        pieces[i] = ""
        if i + 1 < len(pieces):
            pieces[i + 1] = ""
    out = "".join(pieces)
    return out if text[-1:].isspace() else out.rstrip()  # no space is left hanging where a word was last


def _swap(text: str, severity: int, rng: random.Random) -> str:
    """Exchange neighbouring words; a word moves once at most, a protected one never."""
    words = split(text)
    free = set(words.free)
    able = [i for i in words.free if i + 2 in free and words.pieces[i] != words.pieces[i + 2]]
    pieces, moved = list(words.pieces), -1
    for i in pick(words, able, severity, rng):
        if i > moved:
            pieces[i], pieces[i + 2] = pieces[i + 2], pieces[i]
            moved = i + 2
    return "".join(pieces)


SHIFTS = (
    Shift("word_dropout", "word", "text", "words left out", on_strings(_dropout)),
    Shift("word_swap", "word", "text", "neighbouring words exchanged", on_strings(_swap)),
)
