"""Styles and the shifts of single domains (METHODS section 5.2). Used when named, never by default."""

from __future__ import annotations

from tether.shifts.image.styles import (
    adain,
    colours,
    fourier,
    histogram,
    medical,
    satellite,
    sketch,
    stain,
)

SHIFTS = (*colours.SHIFTS, *sketch.SHIFTS, *medical.SHIFTS, *satellite.SHIFTS)
MAKERS = (*fourier.MAKERS, *histogram.MAKERS, *adain.MAKERS, *stain.MAKERS)
