"""Features of the verb phrase: zero copula, habitual be, no third-person -s, completive done."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tether.shifts.text.context import after, before
from tether.shifts.text.contractions import like_a_participle, next_content
from tether.shifts.text.inflect import as_cased
from tether.shifts.text.rewrite import Edit
from tether.shifts.text.tokens import Token, looks_like_a_name, tokens
from tether.shifts.text.word_lists import word_class

_COPULA = {"he": "is", "she": "is", "it": "is", "we": "are", "you": "are", "they": "are", "i": "am"}
_CLITICS = {"is": "'s", "are": "'re", "am": "'m"}
_FULL_S = re.compile(r"(?:ss|sh|ch|x|zz|o)es$")
_SHORT_IES = ("dies", "lies", "ties", "vies")
_EVERY = re.compile(r"[^.,;:!?\n]*\b(?:every (?:day|week|night|morning|year|time|weekend)|all the time)\b")
_ING_FROM = 5  # letters: "doing", not "ring"


def _is_subject(words: Sequence[Token], i: int) -> bool:
    """Whether a pronoun is the subject of what comes next: not "with you are", not "is he"."""
    one = before(words, i)
    clause = one in word_class("clause_opener")
    return clause or one not in word_class("preposition", "auxiliary")


def _like_ing(word: str) -> bool:
    return word.endswith("ing") and len(word) >= _ING_FROM and word not in word_class("no_ing")


def _copula(words: Sequence[Token], i: int) -> tuple[int, int] | None:
    """(where the copula of subject i ends in the text, which word comes next), None where there is none."""
    one = words[i]
    verb = _COPULA.get(one.low)
    if verb is None or one.kind != "free" or one.left or one.right or not _is_subject(words, i):
        return None
    at = i + 1
    if one.clitic:
        if one.clitic.lower().replace("’", "'") != _CLITICS[verb]:
            return None
        end = one.full_end
    else:
        if after(words, i) != verb or words[at].clitic or words[at].right:
            return None
        end = words[at].end
        at += 1
    return (end, at) if at < len(words) and words[at].follows and words[at].kind == "free" else None


def zero_copula(text: str) -> list[Edit]:
    """He is late, he late; she's a doctor, she a doctor. Never am, it is, was, nor at the end of a clause."""
    words = tokens(text)
    edits = []
    for i, one in enumerate(words):
        found = _copula(words, i)
        if found is None or one.low in ("i", "it"):
            continue
        end, at = found
        word = words[at].low
        content = next_content(words, at - 1) if one.clitic == "" else _content_from(words, at)
        if like_a_participle(content) or word in word_class("habitual"):
            continue  # "she is loved" would become "she loved"
        if (
            _like_ing(word)
            or word in word_class("article", "plain_adjective", "place_adverb")
            or (word in word_class("preposition") - {"to", "than", "as"} and after(words, at))
            or (word in word_class("adverb", "intensifier") and content)
        ):
            edits.append(Edit(one.end, end, ("",)))
    return edits


def _content_from(words: Sequence[Token], at: int) -> str:
    """The word at `at` or after it that is no adverb."""
    word = words[at].low
    return next_content(words, at) if word == "not" or word in word_class("adverb") else word


def habitual_be(text: str) -> list[Edit]:
    """He is always late, he always be late; they are working every day, they be working every day."""
    words = tokens(text)
    edits = []
    for i, one in enumerate(words):
        if (found := _copula(words, i)) is None:
            continue
        end, at = found
        word = words[at]
        if word.low in word_class("habitual"):
            follower = after(words, at)
            if _like_ing(follower) or follower in word_class("plain_adjective", "preposition") - {"to"}:
                edits.append(Edit(one.end, word.end, (f" {word.text} be",)))
        elif _like_ing(word.low) and word.low != "going" and _EVERY.match(text[word.end :]):
            edits.append(Edit(one.end, end, (" be",)))
    return edits


def verb_s_drop(text: str) -> list[Edit]:
    """He works, he work; she has, she have; it doesn't, it don't. Only after he, she, it."""
    words = tokens(text)
    shouted = text.isupper()
    edits = []
    for i, one in enumerate(words):
        if one.low not in word_class("singular_subject") or one.clitic or one.kind != "free":
            continue
        opener = before(words, i)
        if opener in word_class("auxiliary") or one.left or one.right:
            continue
        # "gave it wings": it is a subject only where a clause begins.
        if one.low == "it" and opener not in word_class("clause_opener", "that_verb") | {""}:
            continue
        at = i + 1
        while at < len(words) and words[at].low in word_class("adverb") and words[at].follows:
            at += 1
        if (
            at >= len(words)
            or not words[at].follows
            or words[at].clitic
            or looks_like_a_name(words[at], shouted)
        ):
            continue
        if (base := _without_s(words[at])) is not None:
            edits.append(Edit(words[at].start, words[at].end, (as_cased(words[at].text, base),)))
    return edits


def _without_s(word: Token) -> str | None:
    """The verb without its third-person ending, None where it has none or may be something else."""
    low = word.low
    if word.left or word.right or word.kind == "fixed":
        return None
    if word.kind == "negation":
        return ("don’t" if "’" in word.text else "don't") if low == "doesn't" else None
    if low in ("has", "does"):
        return {"has": "have", "does": "do"}[low]
    if not low.endswith("s") or low.endswith(("ss", "us", "is")) or len(low) < 4 or "'" in low:
        return None
    if low in word_class("no_verb_s") or low in ("aches", "focuses"):
        return None
    if low.endswith("ies") and low not in _SHORT_IES:
        return low[:-3] + "y"
    return low[:-2] if _FULL_S.search(low) else low[:-1]


def done(text: str) -> list[Edit]:
    """I have already seen it, I done already seen it; she has lost her keys, she done lost her keys."""
    words = tokens(text)
    edits = []
    for i, one in enumerate(words):
        if one.low not in ("i", "you", "he", "she", "we", "they") or one.kind != "free" or one.left:
            continue
        if not _is_subject(words, i):
            continue
        at, end = i + 1, one.full_end
        if one.clitic:
            if one.clitic.lower().replace("’", "'") != "'ve":
                continue
        elif after(words, i) == ("has" if one.low in ("he", "she") else "have") and words[at].kind == "free":
            at, end = i + 2, words[at].end
        else:
            continue
        if at >= len(words) or not words[at].follows or words[at - 1].right:
            continue
        already = words[at].low == "already"
        verb = after(words, at) if already else words[at].low
        regular = verb.endswith("ed") and len(verb) >= _ING_FROM
        if verb in word_class("completed") or (
            already and (regular or verb in word_class("active_participle"))
        ):
            edits.append(Edit(one.end, end, (" done",)))
    return edits
