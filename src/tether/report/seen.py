"""Which shifts training saw, as far as the configuration says: a number on a seen shift proves less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Keys under which a configuration names the views that training makes.
_KEYS = ("seen_shifts", "shifts", "shift", "views")


def seen_shifts(config: Mapping[str, Any]) -> frozenset[str] | None:
    """Names of the shifts used in training; None when the configuration names none anywhere.

    What stands under `evaluate` is what was tested, not what was seen, and is left out.

    Example:
        >>> sorted(seen_shifts({"method": {"name": "rdft", "shifts": ["fog", {"name": "blur"}]}}))
        ['blur', 'fog']
    """
    found = [v for k, part in config.items() if k != "evaluate" for v in _under({k: part})]
    if not found:
        return None
    return frozenset(name for value in found for name in _names(value))


def _under(value: Any) -> Iterator[Any]:
    """Everything that stands under one of the keys, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _KEYS:
                yield inner
            else:
                yield from _under(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _under(inner)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        # {"name": "fog", ...} is one shift; {"fog": {...}, "blur": {...}} names several by key.
        yield from [str(value["name"])] if "name" in value else [str(k) for k in value]
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)
