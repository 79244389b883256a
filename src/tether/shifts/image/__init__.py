"""Shifts of pixels."""

from __future__ import annotations

from tether.shifts.image import augmix, blur, colour, compression, elastic, geometry, noise, tone

SHIFTS = (
    *noise.SHIFTS,
    *blur.SHIFTS,
    *colour.SHIFTS,
    *elastic.SHIFTS,
    *compression.SHIFTS,
    *augmix.SHIFTS,
    *geometry.SHIFTS,
    *tone.SHIFTS,
)
