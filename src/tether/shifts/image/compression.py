"""What is lost when a picture is made small: pixelation and JPEG (METHODS section 5.1)."""

from __future__ import annotations

from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.image.box import box_resize
from tether.shifts.image.jpeg import jpeg
from tether.shifts.image.parts import in_parts
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

_PART = 1 << 18  # pixels at a time: the many short passes of these two gain most from a small part


def _pixelate(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    fraction = tables.PIXELATE.at(x, severity)
    high, wide = x.shape[2:]
    # Whole rows are cheap to pick, columns are not: rows first, so that fewer columns are left to do.
    low = box_resize(x, max(int(high * fraction), 1), dim=2)
    small = box_resize(low, max(int(wide * fraction), 1), dim=3)
    return box_resize(box_resize(small, wide, dim=3), high, dim=2)


def _jpeg(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    return jpeg(x, tables.JPEG.at(x, severity))


SHIFTS = (
    Shift(
        "pixelate",
        "pixelate",
        "image",
        "shrunk and enlarged again",
        on_pixels(in_parts(_pixelate, pixels=_PART)),
    ),
    Shift(
        "jpeg_compression",
        "jpeg",
        "image",
        "saved as a JPEG of low quality",
        on_pixels(in_parts(_jpeg, pixels=_PART)),
    ),
)
