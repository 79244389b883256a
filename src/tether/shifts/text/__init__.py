"""Shifts of strings."""

from __future__ import annotations

from tether.shifts.text import (
    casing,
    character,
    contractions,
    demographic,
    dialect,
    era,
    form,
    glossary,
    spelling,
    synonyms,
    word,
)
from tether.shifts.text.protect import protected

__all__ = ["MAKERS", "SHIFTS", "protected"]

SHIFTS = (
    *character.SHIFTS,
    *word.SHIFTS,
    *form.SHIFTS,
    *casing.SHIFTS,
    *synonyms.SHIFTS,
    *glossary.SHIFTS,
    *contractions.SHIFTS,
    *spelling.SHIFTS,
    *dialect.SHIFTS,
    *demographic.SHIFTS,
    *era.SHIFTS,
)

MAKERS = (*glossary.MAKERS,)
