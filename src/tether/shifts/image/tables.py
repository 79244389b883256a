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
SATURATE = table(  # (factor, offset) of the HSV saturation
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
)
