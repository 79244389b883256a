"""The project's own word lists: tab-separated files in lists/, read once."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of lists/NAME.tsv, comments and empty lines left out.

    Example:
        >>> rows("contractions")[0]
        ('i am', '=', "i'm")
    """
    text = (resources.files(__package__) / "lists" / f"{name}.tsv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return tuple(tuple(line.split("\t")) for line in lines)


@cache
def word_class(*names: str) -> frozenset[str]:
    """The words of one closed class, or of several together, in lower case.

    Example:
        >>> "the" in word_class("article", "possessive")
        True
    """
    classes = {row[0]: row[1].split() for row in rows("closed_class")}
    return frozenset(word for name in names for word in classes[name])
