"""Demographic counterfactuals: the same text about other people (METHODS section 5.3).

That the label stays is an assumption, which only the user can check: it is wrong where identity is the label,
and where the target of a remark decides (toxicity, hate speech).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.context import after
from tether.shifts.text.demographic.gender import counterpart, listed
from tether.shifts.text.demographic.people import given_names, names_someone, quotations
from tether.shifts.text.inflect import as_cased, plural
from tether.shifts.text.lexicon import with_article
from tether.shifts.text.rewrite import Edit, rewrite
from tether.shifts.text.tokens import Token, looks_like_a_name, tokens
from tether.shifts.text.word_lists import rows, word_class
from tether.shifts.text.words import pick, split

Axis = Literal["gender", "names", "identity"]
AXES: tuple[Axis, ...] = ("gender", "names", "identity")
_COLUMNS = {"gender": 1, "names": 2}  # which bit of a name's column tells the two sides apart


@dataclass(frozen=True)
class Mention:
    """One word that tells who somebody is.

    Attributes:
        word: its index among the text's words.
        unit: what it has to change together with: all gendered words of a text are one unit, all uses of a
            name (and of its counterpart) another, all uses of an identity term another.
    """

    word: int
    unit: tuple[Axis, int]


def _column(low: str, axis: Axis) -> str | None:
    """The name on the other side of an axis, None for a name that has none, or no name."""
    if low not in given_names():
        return None
    row, column = given_names()[low]
    other = rows("names")[row][column ^ _COLUMNS[axis]]
    return None if other == "-" else other


@cache
def _terms() -> dict[str, tuple[str, str, int]]:
    """Identity term in lower case -> (kind, counterpart as written, pair)."""
    table: dict[str, tuple[str, str, int]] = {}
    for n, (kind, left, right) in enumerate(rows("identity")):
        forms = [(left, right)] + ([(plural(left), plural(right))] if kind == "noun" else [])
        for a, b in forms:
            table[a.lower()], table[b.lower()] = (kind, b, n), (kind, a, n)
    return table


def mentions(text: str, axes: Collection[Axis] = AXES) -> list[Mention]:
    """All words of a text that an axis can change; none in quotations."""
    words = tokens(text)
    quoted = quotations(text)
    shouted = text.isupper()
    public = names_someone(words)
    found = []
    for i, word in enumerate(words):
        if word.kind != "free" or any(a <= word.start < b for a, b in quoted):
            continue
        named = word.text[0].isupper() and word.low in given_names() and not word.left and not word.right
        if "gender" in axes and not public and (named or _gendered(words, i, shouted)):
            found.append(Mention(i, ("gender", 0)))
        if "names" in axes and not public and named and _column(word.low, "names"):
            found.append(Mention(i, ("names", given_names()[word.low][0])))
        if "identity" in axes and _identifies(words, i, shouted):
            found.append(Mention(i, ("identity", _terms()[word.low][2])))
    return found


def _gendered(words: Sequence[Token], i: int, shouted: bool) -> bool:
    word = words[i]
    if counterpart(words, i) is None:
        return False
    in_law = word.right and [t.low for t in words[i + 1 : i + 3]] == ["in", "law"]
    if word.left or (word.right and not in_law):  # he/she is about both already
        return False
    kind = listed().get(word.low, ("pronoun", ""))[0]
    if kind in ("noun", "word") and looks_like_a_name(word, shouted):  # The Godfather, Queen
        return False
    # "you guys" and "oh man" speak of nobody's gender.
    return not (i > 0 and words[i - 1].low in ("you", "oh", "hey") and word.low in ("guys", "man", "boy"))


def _identifies(words: Sequence[Token], i: int, shouted: bool) -> bool:
    word = words[i]
    if word.low not in _terms() or word.left or word.right:
        return False
    kind, other, _ = _terms()[word.low]
    if kind == "person" and after(words, i) not in word_class("person_noun"):
        return False
    if not other[0].isupper():
        return not looks_like_a_name(word, shouted)
    # Next to another capital it is part of a name: African American, Catholic Church, Christian Bale.
    near = [words[i - 1]] if i > 0 and word.follows and not words[i - 1].opens else []
    near += [words[i + 1]] if i + 1 < len(words) and words[i + 1].follows else []
    return shouted or not any(t.text[0].isupper() and t.low != "i" for t in near)


def swap(text: str, found: Sequence[Mention]) -> str:
    """The text with these mentions changed; those of one unit belong together."""
    words = tokens(text)
    units: dict[int, set[Axis]] = {}
    for m in found:
        units.setdefault(m.word, set()).add(m.unit[0])
    edits: list[Edit] = []
    for i, axes in units.items():
        word = words[i]
        low = word.low
        if low in given_names() and word.text[0].isupper():
            for axis in AXES:
                low = (_column(low, axis) if axis in axes and axis in _COLUMNS else None) or low
        elif "identity" in axes:
            other = _terms()[low][1]
            low = other if word.text[0].isupper() else other.lower()
        else:
            low = counterpart(words, i) or low
        edits.append(with_article(words, i, word.end, {as_cased(word.text, low): False}))
    return rewrite(text, edits)


def _change(axes: Collection[Axis]) -> Shift:
    """The usual rates pick mentions; a picked one takes its whole unit along, so a text stays consistent."""

    def change(text: str, severity: int, rng: random.Random) -> str:
        found = mentions(text, axes)
        units = {found[i].unit for i in pick(split(text), range(len(found)), severity, rng)}
        return swap(text, [m for m in found if m.unit in units])

    whole = len(axes) > 1
    name = "demographic" if whole else f"demographic_{next(iter(axes))}"
    what = "gender, names, identity terms" if whole else f"{next(iter(axes))} alone"
    summary = f"counterfactual: {what} swapped; that labels hold is an assumption"
    return Shift(name, "demographic", "text", summary, on_strings(change), default=False)


SHIFTS = (_change(AXES), *(_change((axis,)) for axis in AXES))
