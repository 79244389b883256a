"""Elastic deformation: a random affine map, then a smooth random displacement (METHODS section 5.1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from tether.shifts.draws import Draws
from tether.shifts.image import tables
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift


@lru_cache(maxsize=32)
def smoother(size: int, sigma: float) -> Tensor:
    """Gaussian smoothing of a row of `size` pixels as a matrix, (size, size) float32.

    Cut off at three sigma and reflected at the borders as often as that takes: sigma may exceed the size, and
    then a matrix is also the fast way.
    """
    identity = np.eye(size)
    if sigma > 0:
        identity = ndimage.gaussian_filter1d(identity, sigma, axis=0, mode="reflect", truncate=3.0)
    return torch.from_numpy(identity).float()


def corners(high: int, wide: int) -> Tensor:
    """Three points about the centre, (3, 2) float32, x then y: a third of the shorter side away on both axes.

    The original calls the height x and the width y here. It is kept: on pictures that are not square the
    centre is another one.
    """
    away = min(high, wide) // 3
    x, y = high // 2, wide // 2
    return torch.tensor(
        [[x + away, y + away], [x + away, y - away], [x - away, y - away]], dtype=torch.float32
    )


def affine(jitter: Tensor, high: int, wide: int) -> Tensor:
    """The map from output to input that moves the three corners by `jitter` (B, 3, 2) px, as (B, 2, 3).

    In pixel indices: (0, 0) is the middle of the top left pixel.
    """
    still = corners(high, wide).to(jitter)
    moved = torch.cat([still + jitter, torch.ones_like(jitter[:, :, :1])], 2)  # (B, 3, 3)
    solved: Tensor = torch.linalg.solve(moved, still.expand_as(jitter))  # moved @ solved = still
    return solved.transpose(1, 2)


def sample(x: Tensor, at: Tensor, edge: str) -> Tensor:
    """Read x (B, 3, H, W) bilinearly at pixel indices `at` (B, H, W, 2), x then y.

    Args:
        edge: "pixel" mirrors at the middle of the border pixels, "border" at their outer edge.
    """
    size = x.new_tensor([x.shape[3], x.shape[2]])
    if edge == "pixel":
        return F.grid_sample(
            x, at * (2 / (size - 1)) - 1, mode="bilinear", padding_mode="reflection", align_corners=True
        )
    return F.grid_sample(
        x, (at * 2 + 1) / size - 1, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _elastic(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    spread, sigma, largest = tables.ELASTIC.at(x, severity)
    high, wide = x.shape[2:]
    jitter = (draws.uniform(ids, (3, 2), "jitter") * 2 - 1) * largest
    rows, columns = (torch.arange(n, device=x.device, dtype=torch.float32) for n in (high, wide))
    grid = torch.stack([columns.expand(high, wide), rows[:, None].expand(high, wide)], -1)  # (H, W, 2)
    matrix = affine(jitter, high, wide)[:, None]  # (B, 1, 2, 3)
    out = sample(x, grid @ matrix[..., :2].transpose(2, 3) + matrix[:, :, None, :, 2], "pixel")
    if spread == 0:
        return out
    field = draws.uniform(ids, (2, high, wide), "field") * 2 - 1
    down, across = smoother(high, sigma).to(x.device), smoother(wide, sigma).to(x.device)
    move = (down @ field @ across.T).mul_(spread)  # (B, 2, H, W), x then y
    return sample(out, grid + move.permute(0, 2, 3, 1), "border")


SHIFTS = (
    Shift("elastic_transform", "elastic", "image", "bent by an affine map and a wobble", on_pixels(_elastic)),
)
