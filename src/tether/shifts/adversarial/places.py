"""Places: the words of a text that an attack may replace."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tether.shifts.text.words import is_protected, split

_SHORTEST = 3  # letters; shorter tokens are mostly parts of words
_CORE = re.compile(r"\W*?([^\W\d_]{3,})\W*")  # a word of three letters or more, marks around it aside
_SENTENCE_END = re.compile(r"[.!?…][\"'’”)\]]*$")
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Place:
    """A word in a text.

    Attributes:
        row: of the batch.
        text: the whole text as it stands.
        at: which word of the text it is, counted from 0.
        start: its first character, marks around it aside.
        end: its last character plus one.
    """

    row: int
    text: str
    at: int
    start: int
    end: int

    @property
    def word(self) -> str:
        """The word itself."""
        return self.text[self.start : self.end]

    def put(self, word: str) -> str:
        """The text with another word here."""
        return self.text[: self.start] + word + self.text[self.end :]


def class_words(classes: Iterable[str]) -> frozenset[str]:
    """The words that class names are made of, in lower case: to change them may change the label."""
    return frozenset(w.casefold() for name in classes for w in _LETTERS.findall(name))


def function_words() -> frozenset[str]:
    """English words that hold a sentence together, by scikit-learn's list; other languages have none here."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return frozenset(ENGLISH_STOP_WORDS)


def word_count(text: str) -> int:
    """Words of a text, by white space."""
    return len(split(text).at)


def places(text: str, row: int, kept: Collection[str], done: Collection[int]) -> list[Place]:
    """Words that may be replaced: none that every text shift protects, no class names, no names.

    A name is taken to be a word with a capital that opens no sentence, in a text that has small letters. One-
    and two-letter words, and words with a mark inside, are left alone too.

    Args:
        text: the text.
        row: of the batch.
        kept: further words to leave, in lower case.
        done: words replaced already, by their number.
    """
    words = split(text)
    starts, here = [], 0
    for piece in words.pieces:
        starts.append(here)
        here += len(piece)
    free, shouted = set(words.free), text.isupper()
    found, opens = [], True
    for at, i in enumerate(words.at):
        piece, opening = words.pieces[i], opens
        opens = _SENTENCE_END.search(piece) is not None
        core = _CORE.fullmatch(piece)
        if core is None or i not in free or at in done:
            continue
        word = core.group(1)
        if word.casefold() in kept or (not shouted and _is_name(word, opening)):
            continue
        found.append(Place(row, text, at, starts[i] + core.start(1), starts[i] + core.end(1)))
    return found


def _is_name(word: str, opening: bool) -> bool:
    return any(c.isupper() for c in (word[1:] if opening else word))


def in_case_of(word: str, model: str) -> str:
    """The word written as `model` is: in capitals, with a capital, or as it stands.

    Example:
        >>> in_case_of("fine", "Good"), in_case_of("fine", "GOOD")
        ('Fine', 'FINE')
    """
    if model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def may_stand_for(word: str, candidate: str, kept: Collection[str]) -> bool:
    """Whether a candidate is a word, another one, neither protected nor a class name."""
    return (
        candidate.isalpha()
        and len(candidate) >= _SHORTEST
        and candidate.casefold() != word.casefold()
        and candidate.casefold() not in kept
        and not is_protected(candidate)
    )
