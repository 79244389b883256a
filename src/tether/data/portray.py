"""Samples as a report can show them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from tether.batch import Batch

_GAP = 3  # pixels between two pictures of a strip
_QUALITY = 88  # WebP; a sheet of sixty shifts stays small, and the codec's own loss below what is shown


def portray(
    batch: Batch, row: int, side: int | None = None, characters: int | None = None
) -> dict[str, str | None]:
    """{"text": ..., "image": ...} with the other one None; a picture is a base64 PNG.

    Args:
        side: a larger picture is made smaller, its longest side this many pixels.
        characters: a longer text ends there.
    """
    if not isinstance(batch.x, Tensor):
        return {"text": batch.x[row][:characters], "image": None}
    pixels = (batch.x[row].clamp(0, 1) * 255).round().to(torch.uint8)
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())
    if side is not None:
        picture.thumbnail((side, side))
    picture.save(buffer, format="PNG", optimize=True)
    return {"text": None, "image": base64.b64encode(buffer.getvalue()).decode()}


def strip(views: Sequence[Tensor]) -> str:
    """Views of the same pictures, each (N, 3, H, W) in [0, 1], as one picture: samples down, views across.

    Returns:
        A data URI of a WebP.
    """
    count, _, high, wide = views[0].shape
    sheet = torch.ones(3, count * (high + _GAP) - _GAP, len(views) * (wide + _GAP) - _GAP)
    for column, view in enumerate(views):
        for row in range(count):
            top, left = row * (high + _GAP), column * (wide + _GAP)
            sheet[:, top : top + high, left : left + wide] = view[row].float().cpu().clamp(0, 1)
    pixels = (sheet * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
