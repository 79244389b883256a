"""AugMix: a random mix of chains of simple operations (Hendrycks et al. 2020; METHODS section 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws
from tether.shifts.image.levels import autocontrast, equalize, posterize, solarize
from tether.shifts.image.warp import about_centre, rotation, warp
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

WIDTH = 3  # chains
DEPTH = 3  # operations in the longest chain
# The order is that of the drawn number. Colour, contrast, brightness and sharpness are left out: they
# are what the test corruptions do.
OPERATIONS = (
    "autocontrast",
    "equalize",
    "posterize",
    "solarize",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
FIRST_WARP = OPERATIONS.index("rotate")


def operate(x: Tensor, operation: Tensor, level: Tensor, sign: Tensor) -> Tensor:
    """Apply to each image the one operation that it drew.

    The loop runs over operations, each on the rows that drew it; the five warps differ only by their
    matrix, so they go together.

    Args:
        x: (N, 3, H, W).
        operation: (N,) int64, index into `OPERATIONS`; a negative one leaves the image alone.
        level: (N,) in [0, 10), a tenth of which is the fraction of the largest magnitude.
        sign: (N,) of -1 or 1, for the warps.

    Returns:
        (N, 3, H, W), a new tensor.
    """
    out = x.clone()
    for number in range(FIRST_WARP):
        rows = (operation == number).nonzero().squeeze(1)
        if len(rows):
            out[rows] = _levels(x[rows], OPERATIONS[number], level[rows])
    rows = (operation >= FIRST_WARP).nonzero().squeeze(1)
    if len(rows):
        out[rows] = warp(x[rows], matrices(operation[rows], level[rows] * sign[rows], x))
    return out


def _levels(x: Tensor, name: str, level: Tensor) -> Tensor:
    if name == "autocontrast":
        return autocontrast(x)
    if name == "equalize":
        return equalize(x)
    if name == "posterize":
        return posterize(x, 4 - (level * 0.4).long())  # always 4 bits up to severity 2
    return solarize(x, 256 - (level * 25.6).long())


def matrices(operation: Tensor, level: Tensor, x: Tensor) -> Tensor:
    """The matrices for `warp`, (N, 2, 3): up to 30 degrees, a shear of 0.3, a third of the size."""
    high, wide = x.shape[-2:]

    def drawn(name: str, largest: float) -> Tensor:
        return torch.where(operation == OPERATIONS.index(name), level / 10 * largest, 0.0)

    still = torch.zeros(len(level), 2, device=x.device)
    matrix = about_centre(rotation(drawn("rotate", 30.0)), still, high, wide)
    # Shears keep the top left corner in place, as Pillow's affine transform does.
    matrix[:, 0, 1] += drawn("shear_x", 0.3)
    matrix[:, 1, 0] += drawn("shear_y", 0.3)
    matrix[:, 0, 2] += drawn("translate_x", wide / 3)
    matrix[:, 1, 2] += drawn("translate_y", high / 3)
    return matrix


def augmix(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
    """(1 - m) x + m * sum_i w_i chain_i(x), with w ~ Dirichlet(1, 1, 1) and m ~ Beta(1, 1).

    A shift's severity s is AugMix's own: each operation's level is U(0.1, s). So 1 is the setting its
    authors use for ImageNet, 3 the one for CIFAR, and 5 reaches half of every magnitude.
    Magnitudes are not truncated to whole degrees and pixels.

    Args:
        x: (B, 3, H, W) in [0, 1].
        severity: 1..5.
        ids: (B,).
        draws: everything random.
    """
    shape = (WIDTH, DEPTH)
    depth = draws.integers(ids, 1, DEPTH + 1, (WIDTH, 1), "depth")
    operation = draws.integers(ids, 0, len(OPERATIONS), shape, "operation")
    operation = torch.where(
        torch.arange(DEPTH, device=ids.device) < depth, operation, -1
    )  # (B, WIDTH, DEPTH)
    level = 0.1 + draws.uniform(ids, shape, "level") * (severity - 0.1)
    sign = draws.integers(ids, 0, 2, shape, "sign") * 2.0 - 1.0
    # Dirichlet(1, ..) is normalised exponentials; Beta(1, 1) is uniform.
    weight = -torch.log1p(-draws.uniform(ids, (WIDTH,), "weight")) + 1e-12
    mix = draws.uniform(ids, (1,), "mix")
    weight = weight / weight.sum(1, keepdim=True) * mix  # (B, WIDTH)

    chains = x.repeat_interleave(WIDTH, dim=0)  # (B * WIDTH, 3, H, W): all chains step together
    for step in range(DEPTH):
        chains = operate(chains, *(t[:, :, step].flatten() for t in (operation, level, sign)))
    chains = chains.view(len(x), WIDTH, *x.shape[1:])
    out = x * (1 - mix).view(-1, 1, 1, 1)
    for i in range(WIDTH):
        out = out + chains[:, i] * weight[:, i].view(-1, 1, 1, 1)
    return out


SHIFTS = (Shift("augmix", "augmix", "image", "a mix of chains of nine simple operations", on_pixels(augmix)),)
