"""The training loop of the small networks: a minute or two on two CPU cores, so nothing to resume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tether.data import Examples
from tether.progress import bar
from tether.shifts.discrete.blocks import initialise
from tether.shifts.discrete.networks import Autoencoder, VqAutoencoder, blank, seeded
from tether.shifts.discrete.pictures import crops

STEPS = 600
_RESTART_EVERY = 10  # steps
# A codebook with decay .99 lags a hundred steps behind its encoder. So the encoder first learns without one;
# the codes then start at its outputs, where they stay useful.
_PLAIN = 0.3
_SETTLE = 0.4  # the last part of training leaves the codebook to its averages


@dataclass(frozen=True)
class Schedule:
    """How a small network is trained.

    Attributes:
        steps: of Adam.
        batch: windows a step.
        side: of a window in pixels.
        width: channels of the network.
        dim: channels of its latents (METHODS 3.5).
        codes: size of the codebook (METHODS 3.5).
        lr: the highest rate; a short warm-up, then a cosine to 0.
        seed: of weights and order.
    """

    steps: int = STEPS
    batch: int = 32
    side: int = 64
    width: int = 64
    dim: int = 32
    codes: int = 512
    lr: float = 2e-3
    seed: int = 0


def train_vq(examples: Examples, schedule: Schedule, device: torch.device) -> VqAutoencoder:
    """A VQ autoencoder trained on these pictures."""
    network = blank(lambda: VqAutoencoder(schedule.width, schedule.dim, schedule.codes))
    generator = seeded(schedule.seed)
    initialise(network, generator)
    network.to(device)
    first, settled = int(schedule.steps * _PLAIN), schedule.steps * (1 - _SETTLE)
    codebook = network.codebook

    def step(x: Tensor, at: int, variance: float) -> Tensor:
        if at < first:
            return network.plain_loss(x, variance)
        if at == first:
            codebook.start(network.rows(x), generator)
        loss, rows, index = network.loss(x, variance)
        codebook.update(rows, index)
        if at % _RESTART_EVERY == _RESTART_EVERY - 1 and at < settled:
            codebook.restart(rows, generator)
        return loss

    _run(network, examples, schedule, device, generator, step, "training the VQ autoencoder")
    return network


def train_ae(examples: Examples, schedule: Schedule, device: torch.device) -> Autoencoder:
    """A plain autoencoder trained on these pictures."""
    network = blank(lambda: Autoencoder(schedule.width, schedule.dim))
    generator = seeded(schedule.seed)
    initialise(network, generator)
    network.to(device)

    def step(x: Tensor, at: int, variance: float) -> Tensor:
        return network.loss(x, variance)

    _run(network, examples, schedule, device, generator, step, "training the autoencoder")
    return network


def _run(
    network: nn.Module,
    examples: Examples,
    schedule: Schedule,
    device: torch.device,
    generator: torch.Generator,
    step: Callable[[Tensor, int, float], Tensor],
    label: str,
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.lr)
    variance = 0.0
    network.train()
    batches = crops(examples, schedule.side, schedule.batch, schedule.steps, generator)
    with bar(label, schedule.steps) as progress:
        for at, x in enumerate(batches):
            x = x.to(device) * 2 - 1
            # The loss is in units of the pictures' variance, so that one commitment weight fits all data.
            variance = variance or max(float(x.var(dim=(0, 2, 3)).mean()), 1e-4)
            for group in optimizer.param_groups:
                group["lr"] = schedule.lr * _factor(at, schedule.steps)
            loss = step(x, at, variance)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            progress.advance()
    network.eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)


def _factor(at: int, steps: int) -> float:
    """Warm-up over the first twentieth, then half a cosine."""
    warm = max(1, steps // 20)
    return min((at + 1) / warm, 0.5 * (1 + math.cos(math.pi * at / steps)))
