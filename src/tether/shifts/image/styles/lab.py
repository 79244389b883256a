"""sRGB to CIE L*a*b* and back: distances in it are roughly what an eye sees."""

from __future__ import annotations

import torch
from torch import Tensor

# IEC 61966-2-1: linear sRGB to XYZ with white at D65, row by row X, Y, Z.
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_BEND = 6 / 29  # where the cube root gives way to a straight line (CIE 15)


def _matrix(like: Tensor) -> Tensor:
    """Linear sRGB to X/Xn, Y/Yn, Z/Zn. White is the matrix's own, so that greys have a = b = 0 exactly."""
    raw = torch.tensor(_TO_XYZ, dtype=torch.float64)
    return (raw / raw.sum(dim=1, keepdim=True)).to(like)


def to_lab(x: Tensor) -> Tensor:
    """Colours (B, 3, H, W) of sRGB in [0, 1] to L in [0, 100], a and b of about [-110, 110].

    Example:
        >>> to_lab(torch.ones(1, 3, 1, 1)).flatten().round()
        tensor([100.,   0.,   0.])
    """
    linear = torch.where(x <= 0.04045, x / 12.92, ((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("ij,bjhw->bihw", _matrix(x), linear)
    f = torch.where(xyz > _BEND**3, xyz.clamp(min=_BEND**3) ** (1 / 3), xyz / (3 * _BEND**2) + 4 / 29)
    fx, fy, fz = f.unbind(dim=1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def to_srgb(lab: Tensor) -> Tensor:
    """The inverse of `to_lab`; colours that no screen shows are clipped to [0, 1]."""
    light, a, b = lab.unbind(dim=1)
    fy = (light + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=1)
    xyz = torch.where(f > _BEND, f**3, 3 * _BEND**2 * (f - 4 / 29))
    inverse = torch.linalg.inv(_matrix(lab).double()).to(lab)
    linear = torch.einsum("ij,bjhw->bihw", inverse, xyz).clamp(0.0, 1.0)
    bent = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, bent)
