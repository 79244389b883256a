"""Shifts of pixels."""

from __future__ import annotations

from tether.shifts.image import augmix, blur, colour, compression, geometry, noise, styles, tone

SHIFTS = (
    *noise.SHIFTS,
    *blur.SHIFTS,
    *colour.SHIFTS,
    *compression.SHIFTS,
    *augmix.SHIFTS,
    *geometry.SHIFTS,
    *tone.SHIFTS,
    *styles.SHIFTS,
)
