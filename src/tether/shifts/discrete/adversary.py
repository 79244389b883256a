"""DAD's generator: a step up the teacher's loss around a reconstruction, made discrete again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.batch import Batch, Output
from tether.shifts.discrete.quantiser import Quantiser, exact
from tether.shifts.draws import Draws

EPS = 0.1  # L2 radius at 3 x 224 x 224 values (METHODS 3.3)
STEP = 0.01  # length of a step at that size
START = 0.8  # chance of a random start
_VALUES = 3 * 224 * 224
_FLAT = 1e-12  # a shorter gradient is rounding: it has no direction


@dataclass(frozen=True)
class Ascent:
    """The perturbation of METHODS 3.2 to 3.4.

    Attributes:
        eps: L2 radius of the ball around the reconstruction, at 3 x 224 x 224 values; other sizes get it
            times sqrt(values / 150528), the same root mean square.
        step: length of a step, scaled likewise.
        steps: how many; 0 with eps 0 is the control without a perturbation.
        start: chance of a random start on the ball's surface, drawn per sample.
    """

    eps: float = EPS
    step: float = STEP
    steps: int = 1
    start: float = START


@dataclass(frozen=True)
class Rising:
    """A step size that grows during training, in equal stages: each stage's examples are made once.

    Attributes:
        last: the size of the last stage.
        over: training steps until it is reached.
        stages: how many.

    Example:
        >>> [round(Rising(0.2, 100).size(0.01, Rising(0.2, 100).level(t)), 3) for t in (0, 50, 500)]
        [0.01, 0.105, 0.2]
    """

    last: float
    over: int
    stages: int = 5

    def level(self, step: int) -> int:
        """The stage at a training step, 0 to `stages` - 1."""
        return min(self.stages - 1, step * self.stages // self.over)

    def size(self, first: float, level: int) -> float:
        """The step size of a stage when the first stage has `first`."""
        return first + (self.last - first) * level / (self.stages - 1)


@dataclass(frozen=True)
class Examined:
    """What the generator made of a batch.

    Attributes:
        x: the discrete adversarial examples, in places of rejected ones the plain reconstruction VQ(x);
            (B, 3, H, W), rounded to bytes as they are stored.
        kept: (B,) bool; False where the teacher's top-1 on the example was not the label.
        moved: L2 distance of the perturbed picture from VQ(x) before it was quantised, (B,).
    """

    x: Tensor
    kept: Tensor
    moved: Tensor


def scaled(length: float, x: Tensor) -> float:
    """A length given for 3 x 224 x 224 values, for pictures (B, 3, H, W): equal root mean square."""
    return length * math.sqrt(x[0].numel() / _VALUES)


def generate(
    batch: Batch, quantiser: Quantiser, teacher: Callable[..., Output], ascent: Ascent, draws: Draws
) -> Examined:
    """Discrete adversarial examples of a batch (METHODS 3.2 to 3.4).

    The gradient is the teacher's, of its cross-entropy with the label, taken at the decoded picture and
    applied in pixel space; it never passes through the quantiser. The draws are the sample's own, the same
    direction for every eps.

    Args:
        batch: pixels in [0, 1] on the teacher's device, with labels; a sample without one (-100) is
            always rejected.
        teacher: batch -> Output, differentiable in its input.
    """
    x = batch.x
    assert isinstance(x, Tensor)
    plain = quantiser.quantise(x.float())[0]
    adversarial, moved = _perturbed(plain, batch, teacher, ascent, draws)
    again = _bytes(quantiser.quantise(adversarial)[0])
    with exact(x.device):
        said = _logits(teacher, again, batch).argmax(1)
    kept = said == batch.y.to(said.device)
    return Examined(torch.where(kept[:, None, None, None], again, _bytes(plain)), kept, moved)


def _perturbed(
    plain: Tensor, batch: Batch, teacher: Callable[..., Output], ascent: Ascent, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Pictures in the ball around `plain`, and how far they are from it."""
    eps, step = scaled(ascent.eps, plain), scaled(ascent.step, plain)
    ids, shape = batch.ids.to(plain.device), tuple(plain.shape[1:])
    direction = draws.normal(ids, shape, "direction")
    begins = draws.uniform(ids, (), "start") < ascent.start
    x = plain
    if eps > 0:
        x = (plain + eps * begins[:, None, None, None] * _unit(direction, direction)).clamp(0, 1)
    for _ in range(ascent.steps):
        x = x + step * _unit(_gradient(teacher, x, batch), direction)
        away = x - plain
        length = away.flatten(1).norm(dim=1)[:, None, None, None]
        x = (plain + away * (eps / length.clamp_min(1e-12)).clamp_max(1)).clamp(0, 1)
    return x, (x - plain).flatten(1).norm(dim=1)


def _gradient(teacher: Callable[..., Output], x: Tensor, batch: Batch) -> Tensor:
    """Of the batch sum of the cross-entropies, so that a sample's does not depend on the batch's size."""
    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False):
        at = x.detach().requires_grad_()
        loss = F.cross_entropy(_logits(teacher, at, batch), batch.y.to(x.device), reduction="sum")
        gradients: tuple[Tensor, ...] = torch.autograd.grad(loss, at)
    return gradients[0]


def _logits(teacher: Callable[..., Output], x: Tensor, batch: Batch) -> Tensor:
    output = teacher(Batch(x, batch.y, batch.ids, batch.group), ())
    logits: Tensor = output.logits["main"].float()
    return logits


def _unit(v: Tensor, otherwise: Tensor) -> Tensor:
    """Each sample's v at length 1; where v has no direction, that of `otherwise`."""
    flat = v.flatten(1).norm(dim=1)[:, None, None, None] < _FLAT
    chosen = torch.where(flat, otherwise, v)
    out: Tensor = chosen / chosen.flatten(1).norm(dim=1)[:, None, None, None].clamp_min(1e-30)
    return out


def _bytes(x: Tensor) -> Tensor:
    """Rounded to 255ths: what is judged is what is stored."""
    return (x * 255).round() / 255
