"""Words exchanged for others by a table, with number, tense, capitals and article kept right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tether.shifts.text.context import like_a_gerund, like_a_noun, like_a_verb, like_an_adjective
from tether.shifts.text.inflect import article, as_cased, capital, plural, verb_forms
from tether.shifts.text.rewrite import Edit, Find
from tether.shifts.text.tokens import Token, is_free, looks_like_a_name, tokens

# (part of speech, left, "=" or ">", right); a star behind a word asks for evidence, see lists/synonyms.tsv.
Row = tuple[str, str, str, str]
PARTS = ("noun", "mass", "verb", "adj", "adv", "word")


@dataclass(frozen=True)
class Sense:
    """What a word may become.

    Attributes:
        part: of speech.
        strict: whether its neighbours must prove that part of speech.
        old: how the table spells the word itself.
        new: what to write.
    """

    part: str
    strict: bool
    old: str
    new: str

    def written(self, old: str, opens: bool) -> str:
        """The new word in the capitals of the old one; those that the table has ("German") say nothing."""
        if old == self.old:
            return capital(self.new) if opens and old[0].isupper() else self.new
        return as_cased(old, self.new)


def key_of(words: Sequence[Token]) -> str:
    """How a run of words is looked up: lower case, one space for white space, marks as they stand."""
    out = words[0].low
    for last, word in pairwise(words):
        gap = " " if word.follows else word.before
        out += last.clitic.lower().replace("’", "'") + gap + word.low
    return out


def _directed(rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    for part, left, way, right in rows:
        yield part, left, right.rstrip("*")
        if way == "=":
            yield part, right, left.rstrip("*")


def _forms(part: str, old: str, new: str, star: bool) -> Iterator[tuple[str, str, bool]]:
    """(old form, new form, whether it has to be proven)."""
    yield old, new, star
    if part == "noun":
        yield plural(old), plural(new), star
    if part == "verb":
        a, b = verb_forms(old), verb_forms(new)
        yield a.third, b.third, star
        yield a.past, b.past, False
        if a.participle != a.past:
            yield a.participle, b.participle, False
        yield a.ing, b.ing, True  # often a noun: a slow beginning


def senses(rows: Iterable[Row]) -> dict[str, tuple[Sense, ...]]:
    """Every form that a table can change, and what into."""
    table: dict[str, dict[Sense, None]] = {}
    for part, old, new in _directed(rows):
        for form, other, strict in _forms(part, old.rstrip("*"), new, old.endswith("*")):
            table.setdefault(key_of(tokens(form)), {})[Sense(part, strict, form, other)] = None
    return {key: tuple(found) for key, found in table.items()}


def _fits(sense: Sense, words: Sequence[Token], i: int, last: int) -> bool:
    if sense.part in ("noun", "mass"):
        return like_a_noun(words, i) if sense.strict else not like_a_verb(words, i)
    if sense.part == "verb":
        proven = like_a_gerund if words[i].low.endswith("ing") else like_a_verb
        return proven(words, i) if sense.strict else not like_a_noun(words, i)
    return like_an_adjective(words, i, last) if sense.strict else True


def with_article(words: Sequence[Token], i: int, end: int, options: Mapping[str, bool]) -> Edit:
    """The edit of the words from word i to position `end`, an a or an before them made to fit.

    Args:
        words: of the text.
        i: the first word that goes.
        end: where the last one ends.
        options: what may stand there instead -> whether it is a mass noun, which has no a before it.
    """
    start = words[i].start
    one = words[i - 1] if i > 0 and words[i].follows else None
    if one is None or one.low not in ("a", "an") or not is_free([one]) or one.clitic:
        return Edit(start, end, tuple(options))
    gap = words[i].before
    fitted = []
    for new, mass in options.items():
        word = "" if mass else article(new) + gap
        if one.text[0].isupper():
            word = word.upper() if new.isupper() else capital(word)
        fitted.append(word + (capital(new) if mass and one.opens else new))
    return Edit(one.start, end, tuple(fitted))


def lexicon(rows: Iterable[Row], names_too: bool = False) -> Find:
    """A finder of all places where a table's words stand; the longest entry wins.

    Args:
        rows: the table, see `Row`.
        names_too: change words that look like names too (a capital within a sentence).

    Example:
        >>> find = lexicon([("noun", "film", "=", "movie")])
        >>> rewrite("Two films, an old film", find("Two films, an old film"))
        'Two movies, an old movie'
    """
    table = senses(rows)
    longest: dict[str, int] = {}  # by an entry's first word, so that most words cost one look-up
    for key in table:
        parts = tokens(key)
        longest[parts[0].low] = max(longest.get(parts[0].low, 0), len(parts))

    def find(text: str) -> list[Edit]:
        words = tokens(text)
        shouted = text.isupper()
        edits: list[Edit] = []
        i = 0
        while i < len(words):
            step = 1
            for n in range(min(longest.get(words[i].low, 0), len(words) - i), 0, -1):
                run = words[i : i + n]
                found = table.get(key_of(run))
                if found is None or run[0].left or run[-1].right or any(t.kind != "free" for t in run):
                    continue
                if not names_too and any(looks_like_a_name(t, shouted) for t in run):
                    continue
                old = text[run[0].start : run[-1].end]
                if fitting := [s for s in found if _fits(s, words, i, i + n - 1)]:
                    new = {s.written(old, run[0].opens): s.part == "mass" for s in fitting}
                    edits.append(with_article(words, i, run[-1].end, new))
                    step = n
                    break
            i += step
        return edits

    return find
