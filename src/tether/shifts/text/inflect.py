"""Forms of English words: plurals, verb forms, capitals, the article before a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from tether.shifts.text.word_lists import rows

# One short vowel before one consonant at the end of a word of one syllable: that consonant doubles (stop,
# stopped). Longer words that do it are in the list of irregular forms.
_DOUBLES = re.compile(r"[^aeiou]*(?:qu)?[aeiou][bdfgklmnprtz]")
_HISSES = ("s", "x", "z", "ch", "sh")
# Spelled with a vowel but said with a consonant (a use, a one-off), and the other way round (an hour).
_SAID_WITH_CONSONANT = re.compile(r"(?:eu|uni(?![nmd])|us[aeiu]|ut[aei]|ubiq|one\b|once\b)", re.IGNORECASE)
_SILENT_H = re.compile(r"(?:hour|honest|honou?r|heir)", re.IGNORECASE)


@cache
def _irregular(kind: str) -> dict[str, tuple[str, ...]]:
    return {row[1]: row[2:] for row in rows("irregular") if row[0] == kind}


def _with_s(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(_HISSES) else "s")


def plural(noun: str) -> str:
    """The plural of a noun, or of the last word of several.

    Example:
        >>> plural("heart attack"), plural("child")
        ('heart attacks', 'children')
    """
    head, space, last = noun.rpartition(" ")
    irregular = _irregular("noun").get(last)
    return head + space + (irregular[0] if irregular else _with_s(last))


@dataclass(frozen=True)
class VerbForms:
    """The five forms of a verb; the words after the first ("look for") stay as they are."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


@cache
def verb_forms(verb: str) -> VerbForms:
    """All forms of a verb.

    Example:
        >>> verb_forms("look for").past, verb_forms("stop").ing
        ('looked for', 'stopping')
    """
    base, space, rest = verb.partition(" ")
    third = base + "es" if base in ("go", "do") else "has" if base == "have" else _with_s(base)
    if irregular := _irregular("verb").get(base):
        past, participle, ing = irregular
    else:
        stem = base + base[-1] if _DOUBLES.fullmatch(base) else base
        past = base + "d" if base.endswith("e") else stem + "ed"
        if re.search(r"[^aeiou]y$", base):
            past = base[:-1] + "ied"
        participle = past
        ing = stem + "ing"
        if base.endswith("ie"):
            ing = base[:-2] + "ying"
        elif re.search(r"[^eoy]e$", base):
            ing = base[:-1] + "ing"
    return VerbForms(*(form + space + rest for form in (base, third, past, participle, ing)))


def capital(word: str) -> str:
    """The word with its first letter in upper case, the rest as it is."""
    return word[:1].upper() + word[1:]


def as_cased(like: str, new: str) -> str:
    """`new` in the capitals of `like`: all, every word's first, the first, or none.

    Example:
        >>> as_cased("Film", "movie"), as_cased("HEART ATTACK", "myocardial infarction"), as_cased("I", "he")
        ('Movie', 'MYOCARDIAL INFARCTION', 'He')
    """
    if like.isupper() and sum(c.isalpha() for c in like) > 1:
        return new.upper()
    words = like.split()
    if len(words) > 1 and all(w[:1].isupper() for w in words):
        return " ".join(capital(w) for w in new.split(" "))
    return capital(new) if like[:1].isupper() else new


def article(word: str) -> str:
    """'a' or 'an', by how the word after it begins.

    Example:
        >>> [f"{article(w)} {w}" for w in ("film", "error", "hour", "union", "unusual one")]
        ['a film', 'an error', 'an hour', 'a union', 'an unusual one']
    """
    if _SILENT_H.match(word):
        return "an"
    # "uninteresting" begins with un-, "unimportant" too; "union" and "unit" do not.
    vowel = word[:1].lower() in tuple("aeiou") and not _SAID_WITH_CONSONANT.match(word)
    return "an" if vowel else "a"
