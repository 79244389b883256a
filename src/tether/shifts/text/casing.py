"""Words in other capitals: lower, upper, title, alternate (family "format")."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Mapping

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.words import pick, split

_ALTERNATE_FROM = 5  # severity


def _title(word: str) -> str:
    at = next((i for i, c in enumerate(word) if c.isalpha()), 0)
    return word[:at] + word[at : at + 1].upper() + word[at + 1 :].lower()


def _alternate(word: str) -> str:
    """LIkE tHiS, counted in letters."""
    out, up = [], False
    for c in word:
        out.append(c.upper() if up else c.lower())
        up = not up if c.isalpha() else up
    return "".join(out)


FORMS: Mapping[str, Callable[[str], str]] = {
    "lower": str.lower,
    "upper": str.upper,
    "title": _title,
    "alternate": _alternate,
}


def _able(word: str, form: Callable[[str], str]) -> bool:
    """Whether a word may take a form: not a smiley's letter (:D), nor one whose length would change (ß)."""
    core = word.strip(string.punctuation + "“”‘’…")
    if len(core) < 2 and (core != word or core.lower() not in ("a", "i")):
        return False
    return form(word) != word and len(form(word)) == len(word)


def _case(text: str, severity: int, rng: random.Random) -> str:
    """One form for a whole text, among those that would change it; each word takes it at the usual rate."""
    words = split(text)
    forms = [f for name, f in FORMS.items() if name != "alternate" or severity >= _ALTERNATE_FROM]
    rng.shuffle(forms)
    for form in forms:
        if able := [i for i in words.free if _able(words.pieces[i], form)]:
            pieces = list(words.pieces)
            for i in pick(words, able, severity, rng):
                pieces[i] = form(pieces[i])
            return "".join(pieces)
    return text


SHIFTS = (
    Shift(
        "case",
        "format",
        "text",
        "words in lower, upper, title, aLtErNaTe case",
        on_strings(_case),
        default=False,
    ),
)
