"""Words in the sense of grammar: what a rule reads and rewrites, finer than `words.split`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tether.shifts.text.words import is_negation, split

Kind = Literal["free", "negation", "fixed"]

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_CLITIC = re.compile(r"['’](?:s|d|ll|re|ve|m)$", re.IGNORECASE)
_MARKS = "\"'’‘“”()*_~.,;:!?…"
_JOINS = frozenset("-–#&_/\\@")  # a word that touches one of these is part of something longer
_SENTENCE_ENDS = re.compile(r"[.!?…][\"”’)\]]*\s|\n")


@dataclass(frozen=True)
class Token:
    """One word of a text, without the clitic ('s, 'll) that hangs on it.

    Attributes:
        start: of the word in the text.
        end: of the word, before its clitic.
        text: the word as it stands.
        clitic: "'s", "'d", "'ll", "'re", "'ve", "'m" or "".
        before: what stands between the word before, clitic and all, and this one.
        kind: "fixed" may never change; "negation" only by a rule that keeps the meaning.
        left: whether something is glued to its front, as in "#film".
        right: whether something is glued to its end, as in "co-worker" to "co".
        opens: whether a sentence begins with it.
    """

    start: int
    end: int
    text: str
    clitic: str
    before: str
    kind: Kind
    left: bool
    right: bool
    opens: bool

    @property
    def low(self) -> str:
        """The word in lower case with a straight apostrophe, for look-ups."""
        return self.text.lower().replace("’", "'")

    @property
    def full_end(self) -> int:
        """Where the word ends, its clitic included."""
        return self.end + len(self.clitic)

    @property
    def follows(self) -> bool:
        """Whether nothing but white space parts it from the word before."""
        return self.before.isspace()


@lru_cache(maxsize=64)  # the rules of one shift read the same text one after another
def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text.

    Example:
        >>> [(t.text, t.clitic, t.kind) for t in tokens("It's not 3 films.")]
        [('It', "'s", 'free'), ('not', '', 'negation'), ('films', '', 'free')]
    """
    kinds = _kinds(text)
    found: list[Token] = []
    last = 0
    for m in _WORD.finditer(text):
        clitic = _CLITIC.search(m.group())
        tail = clitic.group() if clitic else ""
        if len(tail) == len(m.group()):
            tail = ""
        before = text[last : m.start()]
        after = text[m.end() : m.end() + 2]
        found.append(
            Token(
                start=m.start(),
                end=m.end() - len(tail),
                text=m.group()[: len(m.group()) - len(tail)],
                clitic=tail,
                before=before,
                kind=_kind(m, kinds),
                left=before[-1:] in _JOINS,
                right=after[:1] in _JOINS or (after[:1] == "." and after[1:].isalpha()),  # U.S.A., e.g.
                opens=not found or _SENTENCE_ENDS.search(before) is not None,
            )
        )
        last = m.end()
    return tuple(found)


def _kinds(text: str) -> list[tuple[int, str, Kind]]:
    """(end, piece, kind) of each piece of `words.split`, in order."""
    words = split(text)
    free, negations = set(words.free), set(words.negations)
    out: list[tuple[int, str, Kind]] = []
    end = 0
    for i, piece in enumerate(words.pieces):
        end += len(piece)
        out.append((end, piece, "free" if i in free else "negation" if i in negations else "fixed"))
    return out


def _kind(word: re.Match[str], kinds: list[tuple[int, str, Kind]]) -> Kind:
    while kinds[0][0] < word.end():
        kinds.pop(0)
    _, piece, kind = kinds[0]
    # "not-so-good" is a negation as a whole; a rule about "not" has no business inside it.
    if kind == "negation" and not (is_negation(word.group()) and piece.strip(_MARKS) == word.group()):
        return "fixed"
    return kind


def is_free(words: Sequence[Token]) -> bool:
    """Whether a rule that does not know about negations may rewrite all of these."""
    return all(t.kind == "free" and not t.left and not t.right for t in words)


def adjoin(words: Sequence[Token]) -> bool:
    """Whether only white space stands between these words, and no clitic hangs on any but the last."""
    return all(t.follows for t in words[1:]) and not any(t.clitic for t in words[:-1])


def looks_like_a_name(word: Token, shouted: bool) -> bool:
    """Whether its capitals say that it is a name or an acronym, so that no word list holds for it.

    Args:
        word: to be judged.
        shouted: whether the whole text is in capitals, which then say nothing.
    """
    if shouted or not word.text[0].isupper():
        return False
    if len(word.text) > 1 and word.text.isupper():
        return len(word.text) <= 3  # US, WHO; GREAT is emphasis
    return not word.opens and word.low != "i"
