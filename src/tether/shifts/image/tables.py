"""Severity constants of the image corruptions, for three image sizes (METHODS section 5.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

C = TypeVar("C")
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Table(Generic[C]):
    """One constant per severity 1..5, for images of 224, 64 and 32 px.

    Example:
        >>> GAUSSIAN_NOISE.at(torch.rand(1, 3, 96, 96), severity=1)  # 96 is nearer to 64 than to 224
        0.04
    """

    rows: Mapping[int, tuple[C, C, C, C, C]]

    def at(self, x: Tensor, severity: int) -> C:
        """The constant for images x, (B, 3, H, W).

        The row is the one whose size is nearest, in the logarithm, to the image's *shorter* side: blurs
        and blocks are in pixels, and the shorter side is the one they must fit into.
        """
        side = min(x.shape[-2:])
        size = min(self.rows, key=lambda s: abs(math.log(s / side)))
        return self.rows[size][severity - 1]


def table(at_224: tuple[C, C, C, C, C], at_64: tuple[C, C, C, C, C], at_32: tuple[C, C, C, C, C]) -> Table[C]:
    """A table from its three rows."""
    return Table({224: at_224, 64: at_64, 32: at_32})


def _of(size: int, *rows: Triple) -> tuple[Triple, Triple, Triple, Triple, Triple]:
    one, two, three, four, five = ((a * size, b * size, c * size) for a, b, c in rows)
    return one, two, three, four, five


GAUSSIAN_NOISE = table(
    (0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.08, 0.12, 0.15, 0.18), (0.04, 0.06, 0.08, 0.09, 0.10)
)
SHOT_NOISE = table((60, 25, 12, 5, 3), (250, 100, 50, 30, 15), (500, 250, 100, 75, 50))
IMPULSE_NOISE = table(
    (0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.05, 0.08, 0.14), (0.01, 0.02, 0.03, 0.05, 0.07)
)
DEFOCUS_BLUR = table(  # (disk radius, alias sigma), px
    ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
    ((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
)
GLASS_BLUR = table(  # (blur sigma, farthest move, passes), px
    ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    ((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
)
MOTION_BLUR = table(  # (radius, sigma), px
    ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)),
    ((10, 1.0), (10, 1.5), (10, 2.0), (10, 2.5), (12, 3.0)),
    ((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
)
# (how many factors, from 1 on; their step). Rounding in the original's ranges lets 1.11 and 1.06 in.
_ZOOMS_SMALL = ((7, 0.01), (12, 0.01), (16, 0.01), (21, 0.01), (26, 0.01))
ZOOM_BLUR = table(((12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03)), _ZOOMS_SMALL, _ZOOMS_SMALL)
SNOW = table(  # (mean, std, zoom, threshold, blur radius, blur sigma, part of the picture kept)
    (
        (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
    ),
    (
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.8),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.6),
    ),
    (
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
    ),
)
FROST = table(  # (weight of the picture, weight of the frost)
    ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    ((1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
)
FROST_SCALE = table((1.0,) * 5, (0.3,) * 5, (0.2,) * 5)  # of the texture; crystals shrink with the picture
FOG = table(  # (strength, decay of the relief from one octave to the next)
    ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
    ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
)
BRIGHTNESS = table((0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3))
CONTRAST = table((0.4, 0.3, 0.2, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15))
# (spread of the displacement, its smoothing, jitter of the corners), px. The constants are parts of the size;
# at 224 px they are times 244, a slip that the published sets have and that is kept.
ELASTIC = table(
    _of(244, (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)),
    _of(64, (0, 0, 0.08), (0.05, 0.3, 0.06), (0.1, 0.08, 0.06), (0.1, 0.03, 0.03), (0.16, 0.03, 0.02)),
    _of(32, (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
)
PIXELATE = table((0.6, 0.5, 0.4, 0.3, 0.25), (0.9, 0.8, 0.7, 0.6, 0.5), (0.95, 0.9, 0.85, 0.75, 0.65))
JPEG = table((25, 18, 15, 10, 7), (65, 58, 50, 40, 25), (80, 65, 58, 50, 40))
SPECKLE_NOISE = table(
    (0.15, 0.2, 0.35, 0.45, 0.6), (0.15, 0.2, 0.25, 0.3, 0.35), (0.06, 0.1, 0.12, 0.16, 0.2)
)
GAUSSIAN_BLUR = table((1.0, 2.0, 3.0, 4.0, 6.0), (0.5, 0.75, 1.0, 1.25, 1.5), (0.4, 0.6, 0.7, 0.8, 1.0))
SPATTER = table(  # (mean, std, blur sigma, threshold, amount or mud's blur sigma, whether mud)
    (
        (0.65, 0.3, 4.0, 0.69, 0.6, False),
        (0.65, 0.3, 3.0, 0.68, 0.6, False),
        (0.65, 0.3, 2.0, 0.68, 0.5, False),
        (0.65, 0.3, 1.0, 0.65, 1.5, True),
        (0.67, 0.4, 1.0, 0.65, 1.5, True),
    ),
    (
        (0.62, 0.1, 0.7, 0.7, 0.6, False),
        (0.65, 0.1, 0.8, 0.7, 0.6, False),
        (0.65, 0.3, 1.0, 0.69, 0.6, False),
        (0.65, 0.1, 0.7, 0.68, 0.6, True),
        (0.65, 0.1, 0.5, 0.67, 0.6, True),
    ),
    (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1.0, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
)
SATURATE = table(  # (factor, offset) of the HSV saturation
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
)
