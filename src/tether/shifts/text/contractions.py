"""Contractions made and undone by a fixed table: it's, it is (METHODS section 5.3).

The only shift but the dialect features that rewrites a negation (do not, don't): it stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.context import after, before
from tether.shifts.text.inflect import as_cased
from tether.shifts.text.rewrite import Edit, by_rule
from tether.shifts.text.tokens import Token, adjoin, looks_like_a_name, tokens
from tether.shifts.text.word_lists import rows, word_class

_SUBJECTS = word_class("pronoun") | {"there"}
_LONG_ED = 5  # letters: "rated" may be a participle, "red" and "need" not


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    """(full -> short, short -> full), with straight apostrophes in lower case."""
    found = rows("contractions")
    shorten = {full: short for full, way, short in found if way != "<"}
    return shorten, {short: full for full, way, short in found if way != ">"}


def like_a_participle(word: str) -> bool:
    """Whether a word may be a past participle, so that a form of "have" could stand before it."""
    return word in word_class("participle") or (len(word) >= _LONG_ED and word.endswith("ed"))


def next_content(words: Sequence[Token], i: int) -> str:
    """The word after word i, adverbs and "not" skipped; "" when a mark or the end comes first."""
    word = after(words, i)
    while word == "not" or word in word_class("adverb"):
        i += 1
        word = after(words, i)
    return word


def _may_shorten(words: Sequence[Token], i: int, last: int) -> bool:
    """Refuse what English does not contract: "as happy as I am", "I have a car", "who I am"."""
    second = words[last].low
    if second in ("not", "cannot"):
        return True
    if words[i].low in word_class("subject") and before(words, i) in word_class("comparison"):
        return False
    if after(words, last) in word_class("joiner") | {""}:
        return False  # what it is and does
    if second in ("will", "would"):
        return after(words, last) != "not"
    return second != "have" or (after(words, last) != "not" and like_a_participle(next_content(words, last)))


def _may_expand(words: Sequence[Token], i: int, short: str) -> bool:
    """Refuse the ambiguous ('s before a participle may be "has") and questions ("Don't you ...?")."""
    one = words[i]
    follower = _follower(words, i)
    if short.endswith("n't"):
        asked = before(words, i) in word_class("question") or (one.opens and short != "don't")
        return not asked and follower not in _SUBJECTS
    if short == "let's":
        return follower != ""
    if short.endswith("'s"):
        content = (
            next_content(words, i + 1) if follower == "not" or follower in word_class("adverb") else follower
        )
        if content == "" or like_a_participle(content):
            return False
        return not (one.low in word_class("question") and follower in _SUBJECTS)
    return True


def _follower(words: Sequence[Token], i: int) -> str:
    """The word after word i and its clitic."""
    return words[i + 1].low if i + 1 < len(words) and words[i + 1].follows else ""


def find(text: str) -> list[Edit]:
    """All places where a contraction can be made or undone."""
    shorten, expand = _tables()
    words = tokens(text)
    shouted = text.isupper()
    mark = "’" if "’" in text and "'" not in text else "'"
    edits = []
    for i, one in enumerate(words):
        if one.kind == "fixed" or one.left or one.right or looks_like_a_name(one, shouted):
            continue
        short = (one.low + one.clitic.lower()).replace("’", "'")
        if short in expand and _may_expand(words, i, short):
            old = text[one.start : one.full_end]
            edits.append(Edit(one.start, one.full_end, (as_cased(old, expand[short]),)))
        for last in (i, i + 1):
            run = words[i : last + 1]
            full = " ".join(t.low for t in run)
            if last >= len(words) or full not in shorten or run[-1].clitic or not adjoin(run):
                continue
            old = text[one.start : run[-1].end]
            emphasis = run[-1].text.isupper() and len(run[-1].text) > 1 and not old.isupper()  # do NOT
            if run[-1].kind == "fixed" or run[-1].right or emphasis or not _may_shorten(words, i, last):
                continue
            new = as_cased(old, shorten[full]).replace("'", mark)
            edits.append(Edit(one.start, run[-1].end, (new,)))
    return edits


SHIFTS = (
    Shift(
        "contractions", "contraction", "text", "contractions made and undone: it's", on_strings(by_rule(find))
    ),
)
