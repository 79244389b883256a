"""The one kind of error a user can mend: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RequestError(Exception):
    """The request is wrong; the command line prints the message and exits with code 2.

    Example:
        >>> raise RequestError("data.path: expected a CSV file, got 'x.doc'; convert it first")
        Traceback (most recent call last):
        ...
        tether.errors.RequestError: data.path: expected a CSV file, got 'x.doc'; convert it first
    """


class Interrupted(Exception):  # noqa: N818 (not a fault: the user asked for it)
    """Ctrl-C came and the state was saved; the command line exits with code 130."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to `word`, or list all of them.

    Example:
        >>> nearest("finetun", ["finetune", "lora"])
        "did you mean 'finetune'? Known: finetune, lora"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}Known: {', '.join(names)}"
