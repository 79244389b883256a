"""Random operations one after another, in the manner of RandAugment (Cubuk et al. 2020; METHODS 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.shifts.draws import Draws
from tether.shifts.image.augmix import OPERATIONS, operate
from tether.shifts.image.levels import posterize
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

# RandAugment's fourteen without brightness, contrast, sharpness and colour, which are what the test
# corruptions do; its identity is the index past the last.
IDENTITY = len(OPERATIONS)
_POSTERIZE = OPERATIONS.index("posterize")


def magnitude(severity: int) -> float:
    """M, out of 10: 2, 4, 6, 8, 10 at severities 1 to 5."""
    return 2.0 * severity


def apply_one(x: Tensor, operation: Tensor, m: float, sign: Tensor) -> Tensor:
    """Apply to each image the one operation that it drew.

    Args:
        x: (B, 3, H, W).
        operation: (B,) int64, index into `OPERATIONS`; a larger one leaves the image alone.
        m: of all, in [0, 10]; at 10 a turn of 30 degrees, a shear of 0.3, a move of a third, all inverted,
            4 bits kept. AugMix's `posterize` starts at 4 bits, this one at 8.
        sign: (B,) of -1 or 1, for the warps.
    """
    bits = operation == _POSTERIZE
    rest = torch.where(bits | (operation >= IDENTITY), -1, operation)
    out = operate(x, rest, torch.full_like(sign, m), sign)
    rows = bits.nonzero().squeeze(1)
    if len(rows):
        out[rows] = posterize(x[rows], torch.full_like(rows, 8 - int(m * 0.4)))
    return out


def make_randaugment(operations: int = 2) -> Shift:
    """N drawn operations one after another, all of the magnitude of the severity.

    Args:
        operations: N; its authors use 2 for ImageNet.

    Raises:
        RequestError: when it is less than 1.
    """
    if operations < 1:
        raise RequestError(f"randaugment.operations: expected at least 1, got {operations}; 2 is usual")

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        operation = draws.integers(ids, 0, IDENTITY + 1, (operations,), "operation")
        sign = draws.integers(ids, 0, 2, (operations,), "sign") * 2.0 - 1.0
        for k in range(operations):
            x = apply_one(x, operation[:, k], magnitude(severity), sign[:, k])
        return x

    return Shift("randaugment", "randaugment", "image", _SUMMARY, on_pixels(change), default=False)


_SUMMARY = "simple operations, one after the other"
MAKERS = (Maker("randaugment", "randaugment", "image", _SUMMARY, make_randaugment),)
