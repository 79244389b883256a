"""What other packages add, found through entry points: methods and models by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from tether.errors import RequestError


def names(group: str) -> list[str]:
    """Names in an entry point group, sorted."""
    return sorted(entry.name for entry in entry_points(group=group))


def find(group: str, name: str, kind: str) -> Any:
    """What the entry point of that name loads, or None when there is none.

    Args:
        group: such as "tether.methods".
        name: the entry point's.
        kind: what to call it in an error, such as "method".

    Raises:
        RequestError: when it does not import.
    """
    for entry in entry_points(group=group):
        if entry.name == name:
            try:
                return entry.load()
            except (ImportError, AttributeError) as e:
                raise RequestError(f"{kind} {name!r} of {entry.value} does not import: {e}") from e
    return None
