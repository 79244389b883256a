"""PixMix: a few rounds of mixing with structured pictures (Hendrycks et al. 2022; METHODS section 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.shifts.beta import beta
from tether.shifts.draws import Draws
from tether.shifts.image.augmix import OPERATIONS, operate
from tether.shifts.image.textures import COUNT, bank_for, pick
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.shift import Shift

ROUNDS = 4
# b of the coefficients' Beta, at severities 1 to 5; smaller mixes more. The authors' two settings are
# severity 1 with b = 4 (ImageNet) and severity 3 with b = 3 (CIFAR); the line through them gives the rest.
BETA = (4.0, 3.5, 3.0, 2.5, 2.0)
_TINY = 1e-37  # floor of what is raised to a negative power, as the authors'


def pixmix(
    x: Tensor, severity: int, ids: Tensor, draws: Draws, texture: Tensor, rounds: int, b: float
) -> Tensor:
    """x~ of METHODS 5.2: start, then U{0..rounds} rounds of adding or multiplying, clipped after each.

    A round mixes with an augmented copy of the image (chance 1/2) or with the sample's one texture. All
    randomness but the coefficients' law is the same at every severity.

    Args:
        x: (B, 3, H, W) in [0, 1].
        severity: 1..5, PixMix's own: an operation's level is U(0.1, severity), out of 10.
        ids: (B,).
        draws: everything random.
        texture: (B, 3, H, W) in [0, 1].
        rounds: the most there can be.
        b: of the coefficients' Beta distributions.
    """
    slots = rounds + 1  # the operation that may start the picture, and one a round
    operation = draws.integers(ids, 0, len(OPERATIONS), (slots,), "operation")
    level = 0.1 + draws.uniform(ids, (slots,), "level") * (severity - 0.1)
    sign = draws.integers(ids, 0, 2, (slots,), "sign") * 2.0 - 1.0
    own = draws.uniform(ids, (slots,), "own") < 0.5  # start augmented; in a round, mix with oneself
    count = draws.integers(ids, 0, rounds + 1, (), "rounds")
    adds = draws.uniform(ids, (rounds,), "add") < 0.5
    first, second = coefficients(draws.uniform(ids, (rounds, 3), "mix"), b)

    def augmented(slot: int, rows: Tensor) -> Tensor:
        return operate(x[rows], operation[rows, slot], level[rows, slot], sign[rows, slot])

    out = x.clone()
    started = own[:, 0].nonzero().squeeze(1)
    if len(started):
        out[started] = augmented(0, started)
    for k in range(rounds):
        live = k < count
        for with_own in (True, False):
            rows = (live & (own[:, k + 1] == with_own)).nonzero().squeeze(1)
            if len(rows):
                other = augmented(k + 1, rows) if with_own else texture[rows]
                out[rows] = mix(out[rows], other, first[rows, k], second[rows, k], adds[rows, k])
    return out


def coefficients(u: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """(a, c) from uniforms (..., 3): Beta(b, 1) and Beta(1, b), or 1 + Beta(1, b) and -Beta(1, b)."""
    towards = u[..., 0] < 0.5
    small = beta(u[..., 2], 1, b)
    a = torch.where(towards, beta(u[..., 1], b, 1), 1 + beta(u[..., 1], 1, b))
    return a, torch.where(towards, small, -small)


def mix(u: Tensor, v: Tensor, a: Tensor, c: Tensor, add: Tensor) -> Tensor:
    """One round, clipped: a u + c v on the scale [-1, 1] where `add` (B,), else u^a v^c on [0, 2]."""
    a, c, add = (t.view(-1, 1, 1, 1) for t in (a, c, add))
    added = (a * (2 * u - 1) + c * (2 * v - 1) + 1) / 2
    multiplied = (2 * u) ** a * (2 * v).clamp(min=_TINY) ** c / 2
    return torch.where(add, added, multiplied).clamp(0, 1)


def make_pixmix(
    beta: float | None = None, rounds: int = ROUNDS, textures: int = COUNT, texture_seed: int = 0
) -> Shift:
    """PixMix with generated fractals and noise as its mixing set.

    Args:
        beta: b of the coefficients, smaller mixes more; null takes 4, 3.5, 3, 2.5, 2 at severities 1 to 5.
        rounds: the most rounds; their number is drawn from 0 to this.
        textures: pictures in the mixing set, made once and cached.
        texture_seed: another seed, another mixing set.

    Raises:
        RequestError: when a number is out of range.
    """
    if beta is not None and not 0 < beta < float("inf"):
        raise RequestError(f"pixmix.beta: expected a positive number, got {beta}; the authors use 3 or 4")
    if rounds < 1 or textures < 1:
        raise RequestError(
            f"pixmix: expected at least one round and one texture, got {rounds} and {textures}; raise them"
        )

    def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
        texture = pick(bank_for(x, textures, texture_seed), ids, draws, *x.shape[-2:])
        return pixmix(x, severity, ids, draws, texture, rounds, BETA[severity - 1] if beta is None else beta)

    return Shift("pixmix", "pixmix", "image", _SUMMARY, on_pixels(change), default=False)


_SUMMARY = "rounds of adding and multiplying with fractals, noise and itself"
MAKERS = (Maker("pixmix", "pixmix", "image", _SUMMARY, make_pixmix),)
