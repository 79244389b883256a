"""Wrong characters: slips of a hand, of a finger, of a scanner (METHODS section 5.3)."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.words import is_protected, pick, split

_SHORTEST = 3  # letters; in shorter words one wrong letter makes another word
_KEEP_FIRST = 2  # up to this severity a typo spares the first letter, which readers lean on most
_TRIES = 8

_KEY_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OCR = {
    "o": "0", "O": "0", "l": "1i", "i": "1l", "I": "1l", "s": "5", "S": "5", "b": "86", "B": "8",
    "z": "2", "Z": "2", "e": "c", "c": "e", "u": "v", "v": "u",
}  # fmt: skip
_OCR_PAIRS = {"rn": "m", "cl": "d", "vv": "w", "m": "rn", "d": "cl", "w": "vv"}


def _neighbours() -> dict[str, str]:
    """Keys that touch each other; each row of a QWERTY keyboard starts half a key further right."""
    place = {c: (r, k + r / 2) for r, row in enumerate(_KEY_ROWS) for k, c in enumerate(row)}
    return {
        a: "".join(b for b, (rb, kb) in place.items() if a != b and abs(ra - rb) <= 1 and abs(ka - kb) <= 1)
        for a, (ra, ka) in place.items()
    }


NEIGHBOURS = _neighbours()


def _letters(word: str) -> list[int]:
    return [i for i, c in enumerate(word) if c.isalpha()]


def _typo(word: str, severity: int, rng: random.Random) -> str:
    """Swap two neighbours, or delete, insert or repeat a letter; all equally likely."""
    at = _letters(word)[1 if severity <= _KEEP_FIRST else 0 :]
    kind = rng.choice(("swap", "delete", "insert", "repeat"))
    pairs = [i for i in at if i + 1 in at and word[i] != word[i + 1]]
    if kind == "swap" and pairs:
        i = rng.choice(pairs)
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    i = rng.choice(at)
    if kind == "delete":
        return word[:i] + word[i + 1 :]
    extra = rng.choice(string.ascii_lowercase) if kind == "insert" else word[i]
    return word[: i + 1] + extra + word[i + 1 :]


def _wrong_key(word: str, severity: int, rng: random.Random) -> str:
    able = [i for i in _letters(word) if word[i].lower() in NEIGHBOURS]
    if not able:
        return word
    i = rng.choice(able)
    key = rng.choice(NEIGHBOURS[word[i].lower()])
    return word[:i] + (key.upper() if word[i].isupper() else key) + word[i + 1 :]


def _misread(word: str, severity: int, rng: random.Random) -> str:
    singles = [(i, 1, new) for i, c in enumerate(word) for new in _OCR.get(c, "")]
    pairs = [
        (i, len(k), new) for k, new in _OCR_PAIRS.items() for i in range(len(word)) if word.startswith(k, i)
    ]
    if not singles and not pairs:
        return word
    i, length, new = rng.choice(singles + pairs)
    return word[:i] + new + word[i + length :]


def _characters(
    edit: Callable[[str, int, random.Random], str], lost_space: float = 0.0
) -> Callable[[str, int, random.Random], str]:
    """Turn an edit of one word into a shift of a text; `lost_space` is how often a gap goes instead."""

    def change(text: str, severity: int, rng: random.Random) -> str:
        words = split(text)
        free = set(words.free)
        # A word that this edit cannot change is not able: it would use up the one sure change.
        able = [
            i
            for i in words.free
            if len(_letters(words.pieces[i])) >= _SHORTEST
            and edit(words.pieces[i], severity, rng) != words.pieces[i]
        ]
        pieces = list(words.pieces)
        for i in pick(words, able, severity, rng):
            if (
                i + 2 in free
                and rng.random() < lost_space
                and not is_protected(pieces[i] + words.pieces[i + 2])
            ):
                pieces[i + 1] = ""
                continue
            # Never make a negation by accident (now -> no): the label would turn with it. A digit that
            # OCR read into a word is no number, so only negations and addresses are refused.
            for _ in range(_TRIES):
                new = edit(words.pieces[i], severity, rng)
                if new != words.pieces[i] and not is_protected("".join(c for c in new if not c.isnumeric())):
                    pieces[i] = new
                    break
        return "".join(pieces)

    return change


SHIFTS = (
    Shift(
        "typos", "character", "text", "letters swapped, lost, added, doubled", on_strings(_characters(_typo))
    ),
    Shift("keyboard", "character", "text", "a neighbouring key hit", on_strings(_characters(_wrong_key))),
    Shift(
        "ocr", "character", "text", "letters misread, spaces lost", on_strings(_characters(_misread, 0.15))
    ),
)
