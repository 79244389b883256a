"""What there is, with a line each."""

from __future__ import annotations

from dataclasses import dataclass

from tether import methods, shifts
from tether.config import presets
from tether.cost import cost
from tether.data import list_presets
from tether.errors import RequestError, nearest
from tether.evaluation.catalogue import METRICS
from tether.models.load import PACKAGED
from tether.progress import bar

KINDS = ("methods", "shifts", "data", "models", "metrics", "presets")


@dataclass(frozen=True)
class MethodRow:
    """One line of `tether list methods`.

    Attributes:
        name: of the method.
        summary: its first line.
        trains: a phrase such as "adapters and head".
        teachers: a phrase such as "initial, task (lp_ft)".
        step: the cost of a step over one of plain fine-tuning; None where it cannot be counted.
        before: that of the trainings which come first, each of as many steps.
        note: why the cost is not known.
    """

    name: str
    summary: str
    trains: str = ""
    teachers: str = ""
    step: float | None = None
    before: float | None = None
    note: str = ""


def method_rows() -> list[MethodRow]:
    """Every method with what it trains, its teachers and its cost, counted on a small network."""
    rows = []
    with bar("counting forwards", len(methods.names())) as progress:
        for name in methods.names():
            try:
                counted = cost(name)
                step, before = counted.relative()
                row = MethodRow(name, methods.summary(name), counted.trains, counted.teachers, step, before)
            except RequestError as e:
                row = MethodRow(name, methods.summary(name), note=str(e))
            rows.append(row)
            progress.advance()
    return rows


def listing(what: str) -> list[tuple[str, str]]:
    """(name, summary) rows of methods, shifts, data, models, metrics or presets.

    Raises:
        RequestError: for another word.
    """
    if what == "methods":
        return [(name, methods.summary(name)) for name in methods.names()]
    if what == "shifts":
        return [
            (s.name, f"{s.modality or 'both'}, {shifts.role_of(s) or 'any role'}, {s.family}: {s.summary}")
            for s in shifts.catalogue()
        ]
    if what == "data":
        return list_presets()
    if what == "models":
        return list(PACKAGED.items())
    if what == "presets":
        return list(presets().items())
    if what == "metrics":
        return list(METRICS.items())
    raise RequestError(f"list: cannot list {what!r}; {nearest(what, KINDS)}")
