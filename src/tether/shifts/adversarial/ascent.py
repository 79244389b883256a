"""Projected ascent from a random start, sample by sample (METHODS 1.8; Madry et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tether.shifts.draws import Draws

Norm = Literal["linf", "l2"]
Step = Literal["sign", "unit", "peak"]

FLAT = 1e-10  # a gradient below this is rounding; its sign would differ between machines


@dataclass(frozen=True)
class Ball:
    """Where an attack may go, and what is random about its way there.

    Attributes:
        centre: the clean input, (B, ...) float32.
        eps: radius of each sample, (B,).
        norm: "linf" or "l2" over all of a sample's numbers.
        ids: (B,), what the draws hang on.
        draws: everything random.
        free: 1 where the input may move and 0 elsewhere, broadcastable to `centre`; None for everywhere.
        box: keep to [0, 1], as pixels must.
    """

    centre: Tensor
    eps: Tensor
    norm: Norm
    ids: Tensor
    draws: Draws
    free: Tensor | None = None
    box: bool = False

    def start(self, deviation: float | None = None) -> Tensor:
        """A point drawn uniformly from the ball, or normal around its centre with this deviation."""
        if deviation is not None:
            noise = self.draws.normal(self.ids, self._shape, "start")
            return self.project(self.centre + deviation * noise)
        if self.norm == "linf":
            delta = self.draws.uniform(self.ids, self._shape, "start") * 2 - 1
        else:
            count = self._masked(torch.ones_like(self.centre)).flatten(1).sum(1).clamp(min=1)
            radius = self.draws.uniform(self.ids, (), "radius") ** (1 / count)
            delta = self.random("unit", "start") * self.wide(radius)
        return self.project(self.centre + delta * self.wide(self.eps))

    def random(self, step: Step, name: str) -> Tensor:
        """A random direction of the size that `step` gives directions."""
        if step == "sign":
            signs = self.draws.integers(self.ids, 0, 2, self._shape, name) * 2.0 - 1.0
            return self._masked(signs)
        return self.scaled(self._masked(self.draws.normal(self.ids, self._shape, name)), step)

    def direction(self, gradient: Tensor, step: Step, name: str) -> Tensor:
        """Where J rises: sign(g), g / ||g||_2 or g / max|g|; a random one where g is rounding alone."""
        gradient = self._masked(gradient)
        peak = gradient.abs().flatten(1).amax(1)
        flat = ~((peak >= FLAT) & torch.isfinite(peak))  # NaN is flat too
        found = torch.sign(gradient) if step == "sign" else self.scaled(gradient, step)
        if bool(flat.any()):
            found = torch.where(self.wide(flat), self.random(step, name), found)
        return found

    def scaled(self, delta: Tensor, step: Step) -> Tensor:
        """Delta to length 1 in L2 ("unit") or to a largest entry of 1 ("peak"); zero stays zero."""
        flat = delta.flatten(1)
        size = flat.norm(dim=1) if step == "unit" else flat.abs().amax(1)
        return delta / self.wide(size.clamp(min=torch.finfo(delta.dtype).tiny))

    def project(self, x: Tensor) -> Tensor:
        """The nearest allowed point; within [0, 1] clipping only brings it nearer to the centre."""
        delta = self._masked(x - self.centre)
        eps = self.wide(self.eps)
        if self.norm == "linf":
            delta = delta.clamp(-eps, eps)
        else:
            length = self.wide(delta.flatten(1).norm(dim=1))
            delta = torch.where(length > eps, delta * (eps / length.clamp(min=1e-30)), delta)
        out = self.centre + delta
        return out.clamp(0.0, 1.0) if self.box else out

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.centre.shape[1:])

    def _masked(self, delta: Tensor) -> Tensor:
        return delta if self.free is None else torch.where(self.free, delta, 0.0)

    def wide(self, per_sample: Tensor) -> Tensor:
        """(B,) to (B, 1, ...), to go with the input."""
        return per_sample.view(-1, *[1] * (self.centre.dim() - 1))


@dataclass(frozen=True)
class Found:
    """The best point of each sample, its J, and J at the start, (B,)."""

    x: Tensor
    value: Tensor
    first: Tensor


def ascend(
    j: Callable[[Tensor], Tensor], ball: Ball, start: Tensor, steps: int, size: Tensor, step: Step
) -> Found:
    """K steps uphill; of the K + 1 points passed, each sample keeps its best.

    Args:
        j: x' -> J, (B,). The batch's sum is differentiated, so a sample's gradient is its own.
        ball: where x' may be.
        start: the first point.
        steps: K.
        size: length of a step, (B,).
        step: how a gradient becomes a direction.
    """
    x = start
    best, value, first = start, torch.full_like(ball.eps, -math.inf), torch.full_like(ball.eps, math.nan)
    for k in range(steps):
        leaf = x.detach().requires_grad_(True)
        now = j(leaf)
        (gradient,) = torch.autograd.grad(now.sum(), leaf)
        best, value = _better(ball, best, value, x, now.detach())
        first = now.detach() if k == 0 else first
        with torch.no_grad():
            d = ball.direction(gradient, step, f"direction/{k}")
            x = ball.project(x + ball.wide(size) * d)
    with torch.no_grad():
        best, value = _better(ball, best, value, x, j(x))
    return Found(best.detach(), value, first)


def _better(ball: Ball, best: Tensor, value: Tensor, x: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
    rose = now > value
    return torch.where(ball.wide(rose), x, best), torch.where(rose, now, value)


def power_step(j: Callable[[Tensor], Tensor], ball: Ball, xi: float, step: Step) -> Found:
    """VAT's one step (Miyato et al. 2018): the gradient a little off the centre, then all of eps along it.

    At the centre itself the KL of "anchor" has its minimum and no gradient.

    Args:
        j: x' -> J, (B,).
        ball: where x' may be.
        xi: L2 length of the probing offset. float32 needs 1e-2 to 1e-1.
        step: how the gradient becomes a direction.
    """
    probe = ball.project(ball.centre + xi * ball.random("unit", "start"))
    leaf = probe.detach().requires_grad_(True)
    now = j(leaf)
    (gradient,) = torch.autograd.grad(now.sum(), leaf)
    with torch.no_grad():
        x = ball.project(ball.centre + ball.wide(ball.eps) * ball.direction(gradient, step, "direction/0"))
        best, value = _better(ball, probe, now.detach(), x, j(x))
    return Found(best.detach(), value, now.detach())
