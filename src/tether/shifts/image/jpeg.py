"""JPEG without a file: what its lossy steps do to a batch of pictures, as tensor operations.

The entropy coder loses nothing, so it is left out. The steps are those of ITU-T T.81 and of the JFIF colour
space, with the constants and the rounding of the library that Pillow uses (libjpeg-turbo with its defaults:
4:2:0, the accurate integer transform, triangle-filtered chroma). All but the cosine transforms is exact:
every value is a whole number below 2^24, which float32 holds. The transforms are computed in float32 where
the library rounds to integers between two passes, so now and then a coefficient lands on the other side of a
step.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# T.81, tables K.1 and K.2, row by row.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
# JFIF's colour transform in 65536ths: RGB to Y, Cb, Cr, the last two around 0, and back.
_TO_YCC = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_FROM_YCC = ((65536, 0, 91881), (65536, -22554, -46802), (65536, 116130, 0))
# A quotient in the middle between two whole numbers is rounded away from 0, as the library does: the flat
# blocks of a picture meet that case all the time.
_AWAY = 1 + 1e-4
_UP = 1e-3


def quantisation(quality: int) -> tuple[Tensor, Tensor]:
    """The steps of luma and chroma at a quality of 1..100, each (64,) float64, row by row."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality

    def scaled(table: tuple[tuple[int, ...], ...]) -> Tensor:
        steps = (torch.tensor(table, dtype=torch.int64).flatten() * scale + 50) // 100
        return steps.clamp(1, 255).double()

    return scaled(_LUMA), scaled(_CHROMA)


@lru_cache(maxsize=16)
def _transforms(quality: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[float, float]]:
    """For luma and chroma: pixels to quotients (64, 64), whole quotients to pixels (64, 64), first step."""
    n = torch.arange(8, dtype=torch.float64)
    cosine = torch.cos((2 * n + 1) * n[:, None] * (math.pi / 16)) / 2
    cosine[0] = math.sqrt(1 / 8)
    both = torch.kron(cosine, cosine)  # (64 coefficients, 64 pixels), orthonormal
    luma, chroma = quantisation(quality)
    into = tuple((both.T / steps * _AWAY).float() for steps in (luma, chroma))
    back = tuple((both * steps[:, None]).float() for steps in (luma, chroma))
    return (into[0], into[1]), (back[0], back[1]), (luma[0].item(), chroma[0].item())


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Save as a JPEG and open again, at any size, on any device.

    Args:
        x: (B, 3, H, W) in [0, 1].
        quality: 1..100.

    Returns:
        (B, 3, H, W), whole 255ths, not yet clipped to [0, 1].

    Example:
        >>> jpeg(torch.full((1, 3, 16, 16), 0.5), quality=10)[0, :, 0, 0] * 255
        tensor([128., 128., 128.])
    """
    high, wide = x.shape[2:]
    pixels = (x * 255).round_().flatten(2)  # (B, 3, H * W), bytes
    planes = (x.new_tensor(_TO_YCC).mul_(2.0**-16) @ pixels).round_().view_as(x)
    into, back, first = _transforms(quality)
    luma = _grown(planes[:, :1], math.ceil(high / 8) * 8, math.ceil(wide / 8) * 8)
    luma = _coded(luma, into[0], back[0], first[0], level=0.0)
    chroma = _coded(_halved(planes[:, 1:]), into[1], back[1], first[1], level=128.0)
    planes[:, :1] = luma[:, :, :high, :wide]
    _double(chroma[:, :, : (high + 1) // 2, : (wide + 1) // 2], planes[:, 1:])
    back_to_rgb = x.new_tensor(_FROM_YCC).mul_(2.0**-16).expand(len(x), 3, 3)
    torch.bmm(back_to_rgb, planes.flatten(2), out=pixels)  # new memory is what costs most on a CPU
    return pixels.round_().mul_(1 / 255).view_as(x)


def _grown(planes: Tensor, high: int, wide: int) -> Tensor:
    """Repeat the last row and column until the planes are that large."""
    more = (0, wide - planes.shape[3], 0, high - planes.shape[2])
    return F.pad(planes, more, mode="replicate") if any(more) else planes


def _halved(planes: Tensor) -> Tensor:
    """Chroma (B, 2, H, W) to (B, 2, h, w), halved and filled up to whole blocks.

    Means of four, of which every second in a row rounds its half up. Columns are repeated before the mean and
    rows after it.
    """
    high, wide = planes.shape[2:]
    planes = _grown(planes, high + high % 2, math.ceil(wide / 16) * 16)
    rows = planes[:, :, ::2] + planes[:, :, 1::2]
    bias = planes.new_tensor([0.25, 0.5]).repeat(rows.shape[3] // 4)
    mean = (rows[..., ::2] + rows[..., 1::2]).mul_(0.25).add_(bias).floor_()
    return _grown(mean, math.ceil(high / 16) * 8, mean.shape[3])


def _coded(planes: Tensor, into: Tensor, back: Tensor, first: float, level: float) -> Tensor:
    """Transform 8x8 blocks, round to the quantiser's steps, transform back, round and clip to a byte.

    Args:
        planes: (B, C, h, w) whole numbers, h and w divisible by 8.
        into: pixels to quotients, (64, 64).
        back: whole quotients to pixels, (64, 64).
        first: the step of the constant coefficient, which is 8 times the mean.
        level: what a zero stands for, of 0..255; the quantiser sees 128 as 0.
    """
    b, c, h, w = planes.shape
    blocks = planes.reshape(b, c, h // 8, 8, w // 8, 8).transpose(3, 4).reshape(-1, 64)
    quotients = blocks @ into.to(planes.device)
    quotients[:, 0] += 8 * (level - 128) / first * _AWAY
    quotients.round_()
    quotients[:, 0] += 8 * (128 - level + 0.5 + _UP) / first  # half a level up, so that floor rounds
    pixels = torch.mm(quotients, back.to(planes.device), out=blocks).floor_().clamp_(-level, 255 - level)
    return pixels.view(b, c, h // 8, w // 8, 8, 8).transpose(3, 4).reshape(b, c, h, w)


@lru_cache(maxsize=16)
def _across(wide: int) -> tuple[Tensor, Tensor]:
    """Doubles the columns, (wide, 2 * wide): 3/4 of the nearest and 1/4 of the next; and what rounds each."""
    matrix = torch.zeros(wide, 2 * wide)
    at = torch.arange(2 * wide)
    matrix[at // 2, at] += 0.75
    matrix[((at - 1) // 2 + at % 2).clamp(0, wide - 1), at] += 0.25
    return matrix / 4, torch.tensor([8 / 64, 7 / 64]).repeat(wide)


def _double(planes: Tensor, out: Tensor) -> None:
    """Twice the size with weights of 3/4 and 1/4 each way; a half is rounded up in even columns, else down.

    Args:
        planes: (B, C, h, w) whole numbers.
        out: (B, C, H, W) to write to, H of 2 * h and W of 2 * w or one less.
    """
    high, wide = out.shape[2:]
    matrix, bias = (t[..., :wide].to(planes.device) for t in _across(planes.shape[3]))
    rows = (planes @ matrix).add_(bias)  # a quarter of each row
    upper, lower = out[:, :, ::2], out[:, :, 1::2]
    torch.mul(rows[:, :, 0], 4, out=upper[:, :, 0])
    torch.add(rows[:, :, :-1], rows[:, :, 1:], alpha=3, out=upper[:, :, 1:])
    below = rows[:, :, 1:][:, :, : lower.shape[2]]
    torch.add(below, rows[:, :, : below.shape[2]], alpha=3, out=lower[:, :, : below.shape[2]])
    if high % 2 == 0:
        torch.mul(rows[:, :, -1], 4, out=lower[:, :, -1])
    out.floor_()
