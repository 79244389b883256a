"""Shifts of pixels."""

from __future__ import annotations

from tether.shifts.image import (
    augmix,
    blur,
    colour,
    compression,
    cutout,
    geometry,
    mixed_views,
    noise,
    pixmix,
    randaugment,
    styles,
    tone,
)

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

MAKERS = (
    *pixmix.MAKERS,
    *randaugment.MAKERS,
    *cutout.MAKERS,
    *mixed_views.MAKERS,
    *styles.MAKERS,
)
