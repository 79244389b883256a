"""Which rewrites may stand for their text (METHODS section 5.3); all but the similarity of meaning."""

from __future__ import annotations

import re
from collections import Counter

from tether.shifts.generated.distance import edit_ratio
from tether.shifts.generated.language import same_language
from tether.shifts.generated.writer import Reply
from tether.shifts.text.words import is_negation, is_protected

LEAST_EDIT = 0.1
LENGTHS = (0.5, 2.0)

# Refusals and talk about the task. Each counts only when the text itself does not hold it.
_META = tuple(
    re.compile(p, re.IGNORECASE)
    for p in (
        r"\bas an? (?:ai|artificial|language model|large language model|assistant)\b",
        r"\b(?:can(?:no|['’])t|can not|unable to|won['’]t) (?:help|assist|fulfil|comply|do that|generate)",
        r"\b(?:rewrit(?:e|es|ten|ing)|rephras(?:e|ed|ing)|paraphras(?:e|ed|ing))\b",
        r"^(?:sure|certainly|of course|absolutely|okay|no problem)\s*[,!:.]",
        r"^here(?:['’]s| is| are)\b[^\n]{0,60}:",
        r"^(?:text|output|answer|response|result|note|version|translation)\s*:",
        r"\b(?:original|given|provided|above|following) text\b",
        r"\b(?:let me know|hope this helps|feel free to)\b",
        r"\bcontent polic(?:y|ies)\b",
        r"<\|[^|\n]{1,30}\|>|\[/?INST\]|\[(?:insert|your) [^\]\n]*\]|```",
    )
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
# Written-out numbers count as digits, for a formal text spells them; "one" is a pronoun too often.
_SPELT = {
    name: str(value)
    for value, name in enumerate(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=2
    )
}


def clean(text: str, source: str) -> str:
    """A reply without white space around it and without quotes that the text does not have."""
    text = text.strip()
    for left, right in (('"', '"'), ("“", "”"), ("'", "'")):
        inside = len(text) > 1 and text[0] == left and text[-1] == right
        if inside and not source.strip().startswith(left) and left not in text[1:-1]:
            return text[1:-1].strip()
    return text


def fault(source: str, reply: Reply) -> str | None:
    """Why a rewrite is refused, the first reason of this order; None where it may stay.

    "cut off", "empty", "refusal or meta text", "too similar", "length", "language", "negation", "numbers".

    Args:
        source: the text.
        reply: its rewrite, through `clean`.

    Example:
        >>> fault("The food was not good.", Reply("The meal was lovely.", True))
        'negation'
    """
    text = reply.text
    if not reply.finished:
        return "cut off"
    if not text.strip():
        return "empty"
    if any(p.search(text) and not p.search(source) for p in _META):
        return "refusal or meta text"
    if edit_ratio(source, text) < LEAST_EDIT:
        return "too similar"
    if not LENGTHS[0] <= len(text.strip()) / max(len(source.strip()), 1) <= LENGTHS[1]:
        return "length"
    if not same_language(source, text):
        return "language"
    if negations(source) != negations(text):
        return "negation"
    return None if facts(source) == facts(text) else "numbers"


def negations(text: str) -> int:
    """How many words negate."""
    return sum(is_negation(word) for word in text.replace("can not", "cannot").split())


def facts(text: str) -> Counter[str]:
    """Numbers, placeholders and addresses, each as often as it stands there."""
    found = Counter(n.replace(",", "") for n in _NUMBER.findall(text))
    for word in text.split():
        bare = word.strip("\"'’‘“”()*_~.,;:!?…").lower()
        if bare in _SPELT:
            found[_SPELT[bare]] += 1
        elif not any(c.isnumeric() for c in word) and is_protected(word) and not is_negation(word):
            found[word.strip("\"'’‘“”()*_~.,;:!?…")] += 1
    return found
