"""Gendered words and their counterparts; his and her need the words around them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tether.shifts.text.context import after, before, is_closed
from tether.shifts.text.inflect import plural
from tether.shifts.text.tokens import Token
from tether.shifts.text.word_lists import rows, word_class


@cache
def listed() -> dict[str, tuple[str, str]]:
    """Word -> (kind, counterpart), plurals of nouns too; see lists/gender.tsv."""
    table: dict[str, tuple[str, str]] = {}
    for kind, left, way, right in rows("gender"):
        forms = [(left, right)]
        if kind == "noun" or (kind == "title" and left != "sir"):
            forms.append((plural(left), plural(right)))
        for a, b in forms:
            table[a] = (kind, b)
            if way == "=":
                table[b] = (kind, a)
    return table


def counterpart(words: Sequence[Token], i: int) -> str | None:
    """What word i becomes, in lower case; None when it has no gender.

    Names are not looked at here.
    """
    low = words[i].low
    if low == "him":
        return "her"
    if low == "hers":
        return "his"
    if low == "his":
        return "her" if _has_a_noun(words, i) else "hers"
    if low == "her":
        return "his" if _has_a_noun(words, i) else "him"
    return listed()[low][1] if low in listed() else None


def _has_a_noun(words: Sequence[Token], i: int) -> bool:
    """Whether his or her belongs to what comes next ("her house") or stands by itself ("saw her")."""
    word = after(words, i)
    if words[i].low == "his" and i + 1 < len(words) and words[i + 1].before.strip() == "(":
        return True  # his (and only his) house
    if word in ("one", "all"):
        return word == "one"
    if word == "" or is_closed(word) or word in word_class("after_him"):
        return False
    if word.endswith("ly"):  # her deeply moving film; loves her deeply
        rest = after(words, i + 1)
        return rest != "" and not is_closed(rest)
    if words[i].low == "his":
        return True
    verb = before(words, i)
    if verb in word_class("perceive") and word in word_class("base_verb"):
        return False  # made her laugh
    if verb in word_class("perceive", "catch") and word.endswith("ing"):
        return False  # saw her dancing
    if verb in word_class("hand_over"):  # gave her flowers; gave her mother flowers
        person = word in word_class("person_noun", "kin") or word in listed()
        return person or after(words, i + 1) in word_class("article", "determiner")
    return True
