"""Words of a text, which of them a shift may touch, and which it picks (METHODS section 5.3)."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

RATES = (0.02, 0.05, 0.10, 0.15, 0.25)  # per word, at severities 1..5
_SURE_FROM = 3  # from this severity on, a text of three words or more changes at least once
_LONG_ENOUGH = 3

_PIECES = re.compile(r"\s+|\S+")
# [MASK], <user>, {first name}: a slot that a model or a template reads as one thing.
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,30}\]|<[^<>\n]{1,30}>|\{[^{}\n]{0,30}\}|%[sd]\b")
_ADDRESS = re.compile(r"@|https?:|www\.|://|\.(?:com|org|net|edu|gov)\b", re.IGNORECASE)
_NEGATION = re.compile(
    r"(?:no|not|non|none|nor|neither|never|nobody|nothing|nowhere|cannot|without|hardly|scarcely|barely"
    # With the apostrophe, with the curly one, and as people type it without.
    r"|\w*n['’]t|(?:do|does|did|is|are|was|were|has|have|had|wo|ca|ai|could|would|should|must|need)nt)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 16)  # the same words come again and again
def is_negation(word: str) -> bool:
    """Whether a word, punctuation around it aside, turns the meaning of what it stands with."""
    parts = re.split(r"[-–—/.,;:!?…]", word)  # also "not-so-good" and "no...really"
    return any(_NEGATION.fullmatch(p.strip("\"'’‘“”()*_~")) for p in parts)


@lru_cache(maxsize=1 << 16)
def is_fixed(word: str) -> bool:
    """Whether no shift at all may touch a word: numbers, placeholders, addresses."""
    return (
        any(c.isnumeric() for c in word)
        or _PLACEHOLDER.search(word) is not None
        or _ADDRESS.search(word) is not None
    )


def is_protected(word: str) -> bool:
    """Whether a word must come through unchanged: numbers, placeholders, addresses, negations.

    Example:
        >>> [w for w in "I did not see 3 of [MASK] today".split() if is_protected(w)]
        ['not', '3', '[MASK]']
    """
    return is_fixed(word) or is_negation(word)


@dataclass(frozen=True)
class Words:
    """A text taken apart so that joining the pieces gives it back, white space and all.

    Attributes:
        pieces: words and white space in turn, as they stand.
        at: positions of the words among the pieces.
        free: positions of the words that a shift may touch.
        negations: positions of words protected as negations only. A rule that keeps the meaning (do not,
            don't) may rewrite them; every other shift leaves them alone.
    """

    pieces: tuple[str, ...]
    at: tuple[int, ...]
    free: tuple[int, ...]
    negations: tuple[int, ...]


def split(text: str) -> Words:
    """Take a text apart."""
    slots = [m.span() for m in _PLACEHOLDER.finditer(text)]  # a placeholder may hold spaces: several words
    pieces: list[str] = []
    at: list[int] = []
    free: list[int] = []
    negations: list[int] = []
    for i, m in enumerate(_PIECES.finditer(text)):
        pieces.append(m.group())
        if m.group().isspace():
            continue
        at.append(i)
        in_slot = any(start < m.end() and m.start() < end for start, end in slots)
        if not in_slot and not is_fixed(m.group()):
            (negations if is_negation(m.group()) else free).append(i)
    return Words(tuple(pieces), tuple(at), tuple(free), tuple(negations))


def pick(words: Words, able: Sequence[int], severity: int, rng: random.Random) -> list[int]:
    """Choose which of the `able` positions change.

    Each does with the severity's rate. From severity 3 on, when none came up and the text has three
    words or more, one is taken: else most short texts would come back as they were.

    Returns:
        Positions among the pieces, ascending.
    """
    chosen = [i for i in able if rng.random() < RATES[severity - 1]]
    if not chosen and able and severity >= _SURE_FROM and len(words.at) >= _LONG_ENOUGH:
        chosen = [rng.choice(able)]
    return chosen
