"""Everyday words for a field's terms, and back, from a packaged table or the user's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tether.errors import RequestError, nearest
from tether.shifts.maker import Maker
from tether.shifts.on_strings import on_strings
from tether.shifts.shift import Shift
from tether.shifts.text.inflect import plural
from tether.shifts.text.lexicon import Row, lexicon
from tether.shifts.text.rewrite import by_rule
from tether.shifts.text.synonyms import table
from tether.shifts.text.tokens import tokens
from tether.shifts.text.word_lists import rows
from tether.shifts.text.words import split

FIELDS = ("medical", "legal", "finance")
Table = Mapping[str, str] | str | Path


def glossary(words: Table, name: str = "glossary") -> Shift:
    """A shift that swaps the words of a table, both ways.

    Args:
        words: everyday word -> term, or a file of them: JSON (one object) or CSV and TSV (two columns,
            no header). Or one of `FIELDS`, a packaged table. Entries of several words are fine, and
            their plurals are made.
        name: what configs and reports call it; it stays in the family "vocabulary".

    Raises:
        RequestError: on a file that is missing or not such a table, an empty word, a word that stands for
            itself or for two others, or one that no text shift may touch (a number, a negation).

    Example:
        >>> legal = glossary({"tenant": "lessee"})
        >>> legal(Batch(("Three old tenants",), y, ids), 3, Draws(0)).x
        ('Three old lessees',)
    """
    if isinstance(words, str) and words in FIELDS:
        found = packaged(words)
    else:
        found = _rows(words if isinstance(words, Mapping) else _read(Path(words)))
    change = on_strings(by_rule(lexicon(found, names_too=True)))
    return Shift(
        name, "vocabulary", "text", "everyday words and a field's terms exchanged", change, default=False
    )


def _from_config(words: dict[str, str] | str) -> Shift:
    """A glossary of one's own.

    Args:
        words: everyday word -> term, a file of them, or "medical", "legal", "finance".
    """
    return glossary(words)


def packaged(field: Literal["all"] | str = "all") -> tuple[Row, ...]:
    """The rows of one packaged table, or of all."""
    fields = [r[0] for r in rows("glossary")]
    return tuple(row for f, row in zip(fields, table("glossary", skip=1), strict=True) if field in ("all", f))


def _read(path: Path) -> Mapping[str, str]:
    if path.suffix.lower() not in (".json", ".csv", ".tsv"):
        hint = nearest(str(path), FIELDS)
        raise RequestError(
            f"glossary: expected a .json, .csv or .tsv file or a field, got {str(path)!r}; {hint}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise RequestError(f"glossary: cannot read {path}: {e}; give a file in UTF-8") from e
    if path.suffix.lower() == ".json":
        try:
            table = json.loads(text)
        except json.JSONDecodeError as e:
            raise RequestError(f"glossary: {path} is no JSON: {e}; expected one object of words") from e
        if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
            raise RequestError(
                f'glossary: {path}: expected one object such as {{"theft": "larceny"}}; mend it'
            )
        return table
    lines = [r for r in csv.reader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ",") if r]
    for n, line in enumerate(lines, start=1):
        if len(line) != 2:
            raise RequestError(
                f"glossary: {path}, row {n}: expected 2 columns, got {len(line)}; mend the row"
            )
    lefts = [line[0].strip() for line in lines]
    if twice := sorted({w for w in lefts if lefts.count(w) > 1}):
        raise RequestError(
            f"glossary: {path}: expected each word once, got {', '.join(twice)} twice; drop one"
        )
    return {line[0]: line[1] for line in lines}


def _rows(words: Mapping[str, str]) -> tuple[Row, ...]:
    pairs = [(left.strip(), right.strip()) for left, right in words.items()]
    if not pairs:
        raise RequestError("glossary: expected at least one pair of words, got none; add some")
    seen: set[str] = set()
    for left, right in pairs:
        for word in (left, right):
            parts = split(word)
            if not tokens(word) or parts.free != parts.at:
                raise RequestError(
                    f"glossary: expected words that a text shift may touch, got {word!r}; leave out empty "
                    "entries and those with a number, an address or a negation"
                )
            if word.lower() in seen:
                raise RequestError(
                    f"glossary: expected each word in one pair, got {word!r} again; keep one of its pairs"
                )
            seen.add(word.lower())
    # A plural too, unless the table has it; a plural that no text holds (of a verb) does no harm.
    both = [(plural(left), plural(right)) for left, right in pairs if not left.endswith("s")]
    extra = [pair for pair in both if not {word.lower() for word in pair} & seen]
    return tuple(("word", left, "=", right) for left, right in (*pairs, *extra))


SHIFTS = (
    Shift(
        "glossary",
        "vocabulary",
        "text",
        "everyday words and terms of medicine, law, finance exchanged",
        on_strings(by_rule(lexicon(packaged(), names_too=True))),
        default=False,
    ),
)

# In a config: {name: glossary, words: legal}, or a table of one's own. Without options the shift above.
MAKERS = (
    Maker("glossary", "vocabulary", "text", "everyday words and a field's terms exchanged", _from_config),
)
