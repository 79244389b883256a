"""Histology: the dyes of a slide taken up more or less (METHODS section 5.2, domain-specific)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

Stains = tuple[tuple[float, float, float], ...]

# Optical density of haematoxylin and eosin in red, green and blue (Ruifrok and Johnston 2001).
HAEMATOXYLIN_EOSIN: Stains = ((0.650, 0.704, 0.286), (0.072, 0.990, 0.105))
# Half the range of the factor and of the offset. A factor and an offset a stain are Tellez et al.'s (2018)
# jitter; these ranges are ours. Offsets are in natural optical density.
_RANGE = (0.05, 0.1, 0.15, 0.2, 0.3)


def to_density(x: Tensor) -> Tensor:
    """Optical density, natural logarithm: 0 is glass; half a level is lifted from 0 so that it is finite."""
    return -((x * 255 + 1) / 256).log()


def from_density(density: Tensor) -> Tensor:
    """The inverse of `to_density`; may leave [0, 1]."""
    return (torch.exp(-density) * 256 - 1) / 255


def stain_basis(stains: Stains) -> Tensor:
    """Unit vectors of densities, (3, 3) float64: two stains, and what is at right angles to both.

    Raises:
        RequestError: not two or three vectors of three non-negative numbers, or they say the same.
    """
    if len(stains) not in (2, 3) or not all(len(s) == 3 and min(s) >= 0 and max(s) > 0 for s in stains):
        raise RequestError(
            f"stain.stains: expected two or three optical densities of red, green and blue, none negative, "
            f"got {stains}; the default is {HAEMATOXYLIN_EOSIN}"
        )
    basis = torch.nn.functional.normalize(torch.tensor(stains, dtype=torch.float64), dim=1)
    if len(basis) == 2:
        basis = torch.cat([basis, torch.linalg.cross(basis[0], basis[1])[None]])
        basis[2] /= basis[2].norm().clamp(min=1e-12)
    if torch.linalg.svdvals(basis)[-1] < 0.05:
        raise RequestError(
            f"stain.stains: expected stains of different colours, got {stains}; measure them again"
        )
    return basis


def restain(x: Tensor, basis: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """Change each picture's concentrations c of the stains to factor * c + offset.

    Args:
        x: (B, 3, H, W) in [0, 1].
        basis: (3, 3), a stain's density in each row.
        factor: (B, S), of the first S rows; the rest of the basis stays.
        offset: (B, S).

    Returns:
        (B, 3, H, W), not clipped.
    """
    density = to_density(x)
    amount = torch.einsum("js,bjhw->bshw", torch.linalg.inv(basis).to(x), density)[:, : factor.shape[1]]
    more = (factor - 1)[:, :, None, None] * amount + offset[:, :, None, None]  # only what is added
    return from_density(density + torch.einsum("sj,bshw->bjhw", basis[: factor.shape[1]].to(x), more))


def stain(stains: Stains = HAEMATOXYLIN_EOSIN) -> Shift:
    """Concentrations of each stain times U(1 - r, 1 + r), plus U(-r, r); r = .05 to .3 by severity.

    Args:
        stains: optical densities in red, green and blue of two or three stains, in rows of any length.
    """
    basis = stain_basis(stains)

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        jitter = (draws.uniform(ids, (2, len(stains)), "jitter") * 2 - 1) * _RANGE[severity - 1]
        return restain(x, basis, 1 + jitter[:, 0], jitter[:, 1])

    return Shift("stain", "medical", "image", "dyes of a slide weaker or stronger", on_pixels(change),
                 default=False)  # fmt: skip


MAKERS = (Maker("stain", "medical", "image", "dyes of a slide weaker or stronger", stain),)
