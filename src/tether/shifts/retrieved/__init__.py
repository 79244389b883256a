"""Views retrieved from an unlabelled pool (METHODS section 5.4)."""

from __future__ import annotations

from tether.shifts.retrieved.maker import MAKERS, retrieved

__all__ = ["MAKERS", "retrieved"]
