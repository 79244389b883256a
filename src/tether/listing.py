"""What there is, with a line each."""

from __future__ import annotations

import importlib
import inspect

from tether import methods, shifts
from tether.config import presets
from tether.data import list_presets
from tether.errors import RequestError, nearest
from tether.models.load import PACKAGED

KINDS = ("methods", "shifts", "data", "models", "metrics", "presets")


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
        metrics = importlib.import_module("tether.evaluation.metrics")
        return [
            (name, (inspect.getdoc(f) or "").split("\n")[0])
            for name, f in vars(metrics).items()
            if inspect.isfunction(f) and f.__module__ == metrics.__name__ and not name.startswith("_")
        ]
    raise RequestError(f"list: cannot list {what!r}; {nearest(what, KINDS)}")
