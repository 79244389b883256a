"""Shifts of strings."""

from __future__ import annotations

from tether.shifts.text import character, form, word

SHIFTS = (*character.SHIFTS, *word.SHIFTS, *form.SHIFTS)
