"""What a counterfactual leaves alone: quotations, and texts about a named public person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from tether.shifts.text.context import is_closed
from tether.shifts.text.demographic.gender import listed
from tether.shifts.text.tokens import Token
from tether.shifts.text.word_lists import rows, word_class

_QUOTATION = re.compile(r"“[^”]*”|\"[^\"]*\"|«[^»]*»|''(?:[^']|'(?!'))*''")


@cache
def given_names() -> dict[str, tuple[int, int]]:
    """Given name -> (row, column) in lists/names.tsv."""
    return {
        name: (r, c) for r, row in enumerate(rows("names")) for c, name in enumerate(row[:4]) if name != "-"
    }


@cache
def _figures() -> frozenset[str]:
    return frozenset(row[0] for row in rows("public_figures"))


def quotations(text: str) -> list[tuple[int, int]]:
    """Where quotations stand, in double quotation marks of any form."""
    return [m.span() for m in _QUOTATION.finditer(text)]


def names_someone(words: Sequence[Token]) -> bool:
    """Whether a text names a person who may be known: a known surname, a title and name, a full name.

    Nobody can list all known people, so any full name counts, and any two words in capitals that may be
    one: the price is that fewer texts change. A surname alone counts only where it is listed.
    """
    for i, word in enumerate(words):
        if word.low in _figures() and word.text[0].isupper():
            return True
        if i == 0 or not word.text[0].isupper():
            continue
        if words[i - 1].low in word_class("honorific") and word.before.lstrip(".").isspace():
            return True
        if word.follows and not words[i - 1].clitic and _full_name(words[i - 1], word):
            return True
    return False


def _full_name(first: Token, last: Token) -> bool:
    initial = len(last.text) == 1 and last.low != "i"  # John F. Kennedy
    if not (first.text[0].isupper() and first.text[1:].islower() and last.text[0].isupper()):
        return False
    if not (initial or last.text[1:].islower()):
        return False
    for low in (first.low, last.low):
        if is_closed(low) or low in word_class("calendar", "place_head", "honorific", "adverb"):
            return False
    if first.low in listed():  # Aunt Mary, Mom
        return False
    # "Yesterday Mary left": the first word is in capitals because the sentence begins.
    return not (first.opens and first.low not in given_names() and last.low in given_names())
