"""What the words next to a word say about its part of speech; closed classes only, no tagger."""

from __future__ import annotations

from collections.abc import Sequence

from tether.shifts.text.tokens import Token
from tether.shifts.text.word_lists import word_class

# "her start" is a noun, "made her start" a verb; "that" may open a clause: neither proves a noun.
_BEFORE_NOUN = word_class("article", "determiner") - {"her", "that", "all", "most", "many", "few"}
_BEFORE_VERB = (
    word_class("subject", "modal")
    | {"to", "do", "does", "did", "don't", "doesn't", "didn't", "won't", "can't", "cannot", "please"}
    | {"wouldn't", "couldn't", "shouldn't"}
)
_ADVERBS = word_class("adverb")
_CLOSED = word_class(
    "article", "determiner", "pronoun", "auxiliary", "finite", "preposition", "conjunction", "question"
)


def before(words: Sequence[Token], i: int) -> str:
    """The word that stands right before word i, in lower case, or "" at the start and after a mark."""
    return words[i - 1].low if i > 0 and words[i].follows and not words[i - 1].clitic else ""


def after(words: Sequence[Token], i: int) -> str:
    """The word right after word i, in lower case, or "" at the end, before a mark and after a clitic."""
    joined = i + 1 < len(words) and words[i + 1].follows and not words[i].clitic
    return words[i + 1].low if joined else ""


def is_closed(word: str) -> bool:
    """Whether a word is an article, pronoun, auxiliary, preposition, conjunction or the like."""
    return word in _CLOSED


def like_a_noun(words: Sequence[Token], i: int) -> bool:
    """Whether a determiner stands before word i, or before the one open-class word in between."""
    one = before(words, i)
    if one in _BEFORE_NOUN:
        return True
    # "the old film" is a noun, "the old film stars" too, but "the man films" is not: ask for no more than
    # one word in between, and take only those that can be nothing but an adjective.
    return one in word_class("plain_adjective") and before(words, i - 1) in _BEFORE_NOUN


def like_a_verb(words: Sequence[Token], i: int) -> bool:
    """Whether a subject pronoun, a modal or "to" stands before word i, an adverb in between or not."""
    one = before(words, i)
    if one in _ADVERBS and i > 0:
        one = before(words, i - 1)
    return one in _BEFORE_VERB


def like_a_gerund(words: Sequence[Token], i: int) -> bool:
    """Whether a form of "be" or a preposition stands before word i, an adverb in between or not."""
    one = before(words, i)
    if one in _ADVERBS and i > 0:
        one = before(words, i - 1)
    return one in word_class("copula", "preposition")


def like_an_adjective(words: Sequence[Token], i: int, last: int) -> bool:
    """Whether words i to last stand as "a ... house" or "it is ...": before a noun, or after a copula."""
    one = before(words, i)
    follower = after(words, last)
    if one in word_class("copula", "intensifier"):
        return not follower.endswith("ed")  # hard pressed
    return one in _BEFORE_NOUN and follower != "" and not is_closed(follower)
