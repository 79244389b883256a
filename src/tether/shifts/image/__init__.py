"""Shifts of pixels."""

from __future__ import annotations

from tether.shifts.image import (
    augmix,
    blur,
    colour,
    compression,
    cutout,
    elastic,
    frost,
    geometry,
    glass,
    mixed_views,
    motion,
    noise,
    pixmix,
    randaugment,
    spatter,
    styles,
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
    *elastic.SHIFTS,
    *compression.SHIFTS,
    *augmix.SHIFTS,
    *geometry.SHIFTS,
    *tone.SHIFTS,
    *styles.SHIFTS,
)

MAKERS = (
    *pixmix.MAKERS,
    *randaugment.MAKERS,
    *cutout.MAKERS,
    *mixed_views.MAKERS,
    *styles.MAKERS,
)
