"""How a text is set down: punctuation, white space and drawn-out words (family "format")."""

from __future__ import annotations

import random

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.words import is_protected, pick, split

_MARKS = '.,;:!?…"“”()*_~'  # apostrophes stay: they belong to the word
_VOWELS = "aeiouAEIOU"


def _bare(word: str) -> str:
    """A word without the marks around it; smileys and lone marks stay, as they carry meaning."""
    bare = word.strip(_MARKS)
    return bare if any(c.isalpha() for c in bare) else word


def _punctuation(text: str, severity: int, rng: random.Random) -> str:
    words = split(text)
    pieces = list(words.pieces)
    able = [i for i in words.free if _bare(pieces[i]) != pieces[i]]
    for i in pick(words, able, severity, rng):
        pieces[i] = _bare(pieces[i])
    return "".join(pieces)


def _elongation(text: str, severity: int, rng: random.Random) -> str:
    """Draw out the last vowel, as in "sooo"; two to four more of it."""
    words = split(text)
    pieces = list(words.pieces)
    able = [i for i in words.free if len(pieces[i]) > 1 and any(c in _VOWELS for c in pieces[i])]
    for i in pick(words, able, severity, rng):
        word = pieces[i]
        at = max(k for k, c in enumerate(word) if c in _VOWELS)
        longer = word[:at] + word[at] * rng.randint(3, 5) + word[at + 1 :]
        pieces[i] = word if is_protected(longer) else longer
    return "".join(pieces)


def _spaces(text: str, severity: int, rng: random.Random) -> str:
    """One to three more spaces after a word, or one before the mark that ends it ("good !")."""
    words = split(text)
    pieces = list(words.pieces)
    able = [
        i
        for i in words.free
        if any(c.isalpha() for c in pieces[i]) and (i + 1 < len(pieces) or _tail(pieces[i]))
    ]
    for i in pick(words, able, severity, rng):
        tail = _tail(pieces[i])
        if tail and (i + 1 == len(pieces) or rng.random() < 0.5):
            pieces[i] = pieces[i][: -len(tail)] + " " + tail
        else:
            pieces[i + 1] += " " * rng.randint(1, 3)
    return "".join(pieces)


def _tail(word: str) -> str:
    """The marks that end a word, "" when there are none or when they are all of it."""
    tail = word[len(word.rstrip(_MARKS)) :]
    return tail if len(tail) < len(word) else ""


SHIFTS = (
    Shift("punctuation", "format", "text", "marks around words dropped", on_strings(_punctuation)),
    Shift("elongation", "format", "text", "vowels drawn out: sooo", on_strings(_elongation)),
    Shift("spaces", "format", "text", "extra spaces, also before marks", on_strings(_spaces), default=False),
)
