"""Features of negation: negative concord and ain't. A negative sentence stays negative."""

from __future__ import annotations

from collections.abc import Sequence

from tether.shifts.text.context import after, before
from tether.shifts.text.contractions import like_a_participle, next_content
from tether.shifts.text.inflect import as_cased
from tether.shifts.text.rewrite import Edit
from tether.shifts.text.tokens import Token, tokens
from tether.shifts.text.word_lists import word_class

_CONCORD = {
    "any": "no",
    "anything": "nothing",
    "anybody": "nobody",
    "anyone": "nobody",
    "anywhere": "nowhere",
}
_REACH = 7  # words; farther off, another clause has begun more often than not


def negative_concord(text: str) -> list[Edit]:
    """I don't want any trouble, I don't want no trouble. The first negation stays, in the same clause."""
    words = tokens(text)
    edits = []
    for i, one in enumerate(words):
        if one.kind != "negation" or not (one.low in ("not", "never") or one.low.endswith("n't")):
            continue
        if after(words, i) in word_class("concord_stop") or before(words, i) == "or":  # not only; or not
            continue
        for j in range(i + 1, min(i + 1 + _REACH, len(words))):
            word = words[j]
            if not word.follows or word.low in word_class("clause_opener") or word.kind != "free":
                break
            if word.low not in _CONCORD or word.left or word.right or word.clitic:
                continue
            follower = after(words, j)
            new = _CONCORD[word.low]
            if word.low == "any":
                if follower == "" or follower in word_class("not_any") or words[j - 1].low == "just":
                    continue
                new = "none" if follower == "of" else new
            edits.append(Edit(word.start, word.end, (as_cased(word.text, new),)))
    return edits


def aint(text: str) -> list[Edit]:
    """It isn't, it ain't; I'm not, I ain't; they have not seen it, they ain't seen it."""
    words = tokens(text)
    mark = "’" if "’" in text and "'" not in text else "'"
    edits = []
    for i, one in enumerate(words):
        if one.left or one.right or one.kind == "fixed":
            continue
        perfect = like_a_participle(next_content(words, i))
        if one.low in ("isn't", "aren't") or (one.low in ("hasn't", "haven't") and perfect):
            edits.append(Edit(one.start, one.end, (as_cased(one.text, f"ain{mark}t"),)))
        if not _plain_not(words, i + 1):
            continue
        bare = words[i + 1]
        shout = bare.text.isupper()
        perfect = like_a_participle(next_content(words, i + 1))
        if one.clitic and one.low in word_class("subject"):
            if one.clitic.lower().replace("’", "'") in ("'m", "'re", "'s"):
                edits.append(Edit(one.end, bare.end, (" AIN'T" if shout else f" ain{mark}t",)))
        elif one.low in ("am", "is", "are") or (one.low in ("has", "have") and perfect):
            old = text[one.start : bare.end]
            edits.append(Edit(one.start, bare.end, (as_cased(old, f"ain{mark}t"),)))
    return edits


def _plain_not(words: Sequence[Token], i: int) -> bool:
    """Whether word i is "not" by itself, right after the word before."""
    return i < len(words) and words[i].low == "not" and words[i].kind == "negation" and words[i].follows
