"""Which shifts training saw, as far as the configuration says: a number on a seen shift proves less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tether.report.records import Run

# Keys under which a configuration names the views that training makes.
_KEYS = ("seen_shifts", "shifts", "shift", "views")


@dataclass(frozen=True)
class Seen:
    """What one method's training saw: shift names, None where no run says, and steps of optimisation."""

    method: str
    shifts: tuple[str, ...] | None
    steps: float


def seen_table(runs: Sequence[Run]) -> tuple[Seen, ...]:
    """One row a method, its seeds together; steps are their mean, NaN where a run does not say.

    Example:
        >>> seen_table(runs)[0].shifts  # doctest: +SKIP
        ('augmix', 'geometry')
    """
    out = []
    for method in dict.fromkeys(run.method for run in runs):
        mine = [run for run in runs if run.method == method]
        known = [s for run in mine if (s := run.seen) is not None]
        shifts = tuple(sorted(frozenset().union(*known))) if known else None
        out.append(Seen(method, shifts, sum(run.number("steps") for run in mine) / len(mine)))
    return tuple(out)


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
