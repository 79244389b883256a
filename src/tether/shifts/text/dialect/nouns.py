"""Features of the noun phrase: no possessive -s."""

from __future__ import annotations

from collections.abc import Sequence

from tether.shifts.text.context import after, before, is_closed
from tether.shifts.text.rewrite import Edit
from tether.shifts.text.tokens import Token, looks_like_a_name, tokens
from tether.shifts.text.word_lists import word_class


def possessive_s_drop(text: str) -> list[Edit]:
    """My mother's house, my mother house. Only where the 's cannot be "is"."""
    words = tokens(text)
    shouted = text.isupper()
    edits = []
    for i, one in enumerate(words):
        if one.clitic.lower() not in ("'s", "’s") or one.kind != "free" or one.left or one.right:
            continue
        if is_closed(one.low) or one.low in word_class("adverb") or i + 1 >= len(words):
            continue
        if _owns(words, i, shouted):
            edits.append(Edit(one.end, one.full_end, ("",)))
    return edits


def _owns(words: Sequence[Token], i: int, shouted: bool) -> bool:
    """Whether the next word is what is owned.

    Proof is a noun known as one, a verb right after it ("my brother's car is"), or a preposition before it
    all ("of my brother's car"): in none of these can the 's be a verb.
    """
    owned = words[i + 1]
    if not owned.follows or owned.kind != "free" or owned.left or owned.clitic:
        return False
    if looks_like_a_name(owned, shouted):  # the Children's Fund
        return False
    start = i
    while start > 0 and before(words, start) in word_class("plain_adjective"):
        start -= 1
    opener = before(words, start)
    determined = opener in word_class("article", "possessive") | {"this", "that"}
    noun = owned.low
    if not determined and words[i].opens:  # "Mary's book is", but also "Dinner's food": ask for both proofs
        return noun in word_class("common_noun") and after(words, i + 1) in word_class("finite")
    if not determined and not looks_like_a_name(words[i], shouted):
        return False
    if noun in word_class("common_noun") - {"home"}:
        return True
    if (
        is_closed(noun)
        or noun in word_class("adverb", "plain_adjective")
        or noun.endswith(("ing", "ly", "ed"))
    ):
        return False
    head = before(words, start - 1) if determined else opener
    return head in word_class("preposition") or after(words, i + 1) in word_class("finite")
