"""One sample as a report can show it."""

from __future__ import annotations

import base64
import io

import torch
from PIL import Image
from torch import Tensor

from tether.batch import Batch


def portray(batch: Batch, row: int) -> dict[str, str | None]:
    """{"text": ..., "image": ...} with the other one None; a picture is a base64 PNG."""
    if not isinstance(batch.x, Tensor):
        return {"text": batch.x[row], "image": None}
    pixels = (batch.x[row].clamp(0, 1) * 255).round().to(torch.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(buffer, format="PNG", optimize=True)
    return {"text": None, "image": base64.b64encode(buffer.getvalue()).decode()}
