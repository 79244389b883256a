"""Texts that a language model rewrote (METHODS section 5.3)."""

from __future__ import annotations

from tether.shifts.maker import Maker

MAKERS: tuple[Maker, ...] = ()
