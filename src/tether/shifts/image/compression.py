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


def box_resize(size: int, small: int) -> Tensor:
    """The matrix that shrinks a row of `size` pixels to `small` by Pillow's box filter, and back.

    Pillow averages, with equal weights, the pixels whose centre lies in the target pixel's window,
    and enlarges by repeating the nearest. Fractional cover does not count, unlike area pooling.

    Returns:
        (size, size) float32, rows summing to 1.
    """
    scale = size / small
    down = torch.zeros(small, size)
    for i in range(small):
        centre = (i + 0.5) * scale
        first, last = int(centre - scale / 2 + 0.5), min(int(centre + scale / 2 + 0.5), size)
        down[i, first:last] = 1.0 / (last - first)
    nearest = [int((j + 0.5) * small / size) for j in range(size)]
    return down[nearest]


def _pixelate(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    fraction = tables.PIXELATE.at(x, severity)
    tall, wide = (box_resize(n, max(int(n * fraction), 1)).to(x) for n in x.shape[2:])
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
