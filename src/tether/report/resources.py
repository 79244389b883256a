"""Templates and style sheets that lie beside this file."""

from __future__ import annotations

from importlib import resources


def resource(name: str) -> str:
    """The text of a file of this package."""
    return resources.files("tether.report").joinpath(name).read_text(encoding="utf-8")
