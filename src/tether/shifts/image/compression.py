"""What is lost when a picture is made small: pixelation and JPEG (METHODS section 5.1)."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift


def box_resize(size: int, target: int) -> Tensor:
    """The matrix by which Pillow's box filter resizes a row of `size` pixels to `target`.

    Pillow averages, with equal weights, the pixels whose centre lies in the target pixel's window, and
    enlarges by repeating the nearest. Fractional cover does not count, unlike area pooling. The order of
    operations is Pillow's own: where a centre meets the window's edge, rounding decides.

    Returns:
        (target, size) float32, rows summing to 1.
    """
    scale = size / target
    width = max(scale, 1.0)
    matrix = torch.zeros(target, size)
    for i in range(target):
        centre = (i + 0.5) * scale
        first = max(int(centre - 0.5 * width + 0.5), 0)
        last = min(int(centre + 0.5 * width + 0.5), size)
        inside = [j for j in range(first, last) if -0.5 < (j - centre + 0.5) * (1.0 / width) <= 0.5]
        matrix[i, inside] = 1.0 / len(inside)
    return matrix


def _there_and_back(size: int, fraction: float) -> Tensor:
    """Shrink a row to a fraction of its pixels and enlarge it again, as one (size, size) matrix."""
    small = max(int(size * fraction), 1)
    return box_resize(small, size) @ box_resize(size, small)


def _pixelate(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    fraction = tables.PIXELATE.at(x, severity)
    tall, wide = (_there_and_back(n, fraction).to(x) for n in x.shape[2:])
    return tall @ x @ wide.T


def _jpeg(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """Through the real encoder, image by image: its tables and rounding are the shift."""
    quality = tables.JPEG.at(x, severity)
    pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    decoded = []
    for image in pixels:
        with io.BytesIO() as file:
            Image.fromarray(image).save(file, "JPEG", quality=quality)
            decoded.append(np.asarray(Image.open(file)))
    out = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2)
    return out.to(x.device).float() / 255


SHIFTS = (
    Shift("pixelate", "pixelate", "image", "shrunk and enlarged again", on_pixels(_pixelate)),
    Shift("jpeg_compression", "jpeg", "image", "saved as a JPEG of low quality", on_pixels(_jpeg)),
)
