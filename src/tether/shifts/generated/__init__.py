"""Texts that a language model rewrote (METHODS section 5.3)."""

from __future__ import annotations

from tether.shifts.generated.maker import MAKERS, generated

__all__ = ["MAKERS", "generated"]
