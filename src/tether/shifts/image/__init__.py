"""Shifts of pixels."""

from __future__ import annotations

from tether.shifts.image import (
    augmix,
    blur,
    colour,
    compression,
    frost,
    geometry,
    glass,
    motion,
    noise,
    spatter,
    tone,
    weather,
    zoom,
)

SHIFTS = (
    *noise.SHIFTS,
    *blur.SHIFTS,
    *glass.SHIFTS,
    *motion.SHIFTS,
    *zoom.SHIFTS,
    *weather.SHIFTS,
    *frost.SHIFTS,
    *spatter.SHIFTS,
    *colour.SHIFTS,
    *compression.SHIFTS,
    *augmix.SHIFTS,
    *geometry.SHIFTS,
    *tone.SHIFTS,
)
