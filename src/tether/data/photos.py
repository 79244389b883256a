"""Twenty labelled ImageNet photos that the package foolbox carries, for tests and benchmarks."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tether.data.packages import FOOLBOX, fetch


def photos(size: int = 224) -> tuple[Tensor, Tensor]:
    """The photos in the order of their names; fetched once, and foolbox itself is not imported.

    Args:
        size: px; the shorter side is scaled to it and the middle is cut out.

    Returns:
        Pixels (20, 3, size, size) float32 in [0, 1], whole 255ths, and ImageNet-1k labels (20,) int64.

    Raises:
        RequestError: when the package cannot be fetched.

    Example:
        >>> x, y = photos(64)  # doctest: +SKIP
        >>> x.shape, y[0].item()  # doctest: +SKIP
        (torch.Size([20, 3, 64, 64]), 243)
    """
    pixels, labels = [], []
    # imagenet_NUMBER_LABEL.jpg
    for path in sorted((fetch(FOOLBOX) / "foolbox" / "data").glob("imagenet_*.jpg")):
        with Image.open(path) as image:
            scale = size / min(image.size)
            wide, high = (max(size, round(n * scale)) for n in image.size)
            resized = image.convert("RGB").resize((wide, high), Image.Resampling.BICUBIC)
        left, top = (wide - size) // 2, (high - size) // 2
        pixels.append(np.array(resized.crop((left, top, left + size, top + size))))
        labels.append(int(path.stem.split("_")[2]))
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return x.contiguous(), torch.tensor(labels)
