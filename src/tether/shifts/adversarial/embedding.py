"""`adv_embedding`: token embeddings moved a little (METHODS 1.8; SMART, FreeLB)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from tether.batch import Batch
from tether.shifts.adversarial.ascent import Ball, Step, ascend, power_step
from tether.shifts.adversarial.budget import factor, positive
from tether.shifts.adversarial.objective import Goal, Mode
from tether.shifts.adversarial.reads import embedded, token_backbone
from tether.shifts.adversarial.rest import at_rest
from tether.shifts.attack import Attack
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker

NAME = "adv_embedding"
SUMMARY = "token embeddings moved within a tenth of their norm; gives embeddings, not texts"

_SMART_NOISE, _SMART_STEP = 1e-5, 1e-3  # its reference settings, METHODS 1.8


def adv_embedding(
    eps: float = 0.1,
    steps: int | None = None,
    step_size: float | None = None,
    start: float | None = None,
    recipe: Literal["ascent", "smart", "power"] = "ascent",
    xi: float = 0.1,
    mode: Mode = "auto",
    warmup_steps: int = 0,
    kappa: float = 1e-3,
    teacher: str = "initial",
) -> Attack:
    """Adversarial token embeddings e + delta, the input of every model that reads the view (METHODS 1.8).

    Delta is 0 on padding and on special tokens, and at most eps ||e|| long for each text. FreeLB's
    settings are steps 2 or 3, step_size 1e-2 to 1e-1, start 2e-2 to 3e-1.

    Args:
        eps: budget at severity 3, as a share of the L2 norm of a text's embeddings; severities 1 to 5 scale
            it by .25 .5 1 1.5 2.
        steps: K; null takes 3, for "smart" 1.
        step_size: L2 length of a step (for "smart" its largest entry); null takes 2.5 eps ||e|| / K, for
            "smart" 1e-3.
        start: L2 length of the random start; null draws from the whole ball.
        recipe: "ascent", or "smart": a start of normal noise of deviation 1e-5, steps g / max|g|, KL in both
            directions; or "power": one power iteration as in VAT, then all of eps.
        xi: L2 length of VAT's probing offset.
        mode: J (see `Objective`).
        warmup_steps: training steps in which "auto" is "anchor".
        kappa: clean KL in nats below which "auto" is "anchor" for a sample.
        teacher: which teacher of the method is M_0; it must share the student's token embeddings.

    Raises:
        RequestError: a budget or count that is not positive.

    Example:
        >>> adv_embedding(mode="self").space
        'embedding'
    """
    smart = recipe == "smart"
    positive(NAME, eps=eps, steps=steps, step_size=step_size, start=start, xi=xi)
    count = steps if steps is not None else (1 if smart else 3)
    goal = Goal(mode, warmup_steps, kappa, teacher, symmetric=smart)
    step: Step = "peak" if smart else "unit"

    def apply(batch: Batch, severity: int, draws: Draws, model: Any, teachers: Any) -> Batch:
        backbone = token_backbone(NAME, model)
        assert isinstance(batch.x, tuple)
        tokens = backbone.tokens(batch.x)
        with torch.no_grad():
            e = backbone.look_up(tokens.ids).float()
        mask, free = (t.to(e.device) for t in (tokens.mask, tokens.free))
        length = torch.where(mask[..., None], e, 0.0).flatten(1).norm(dim=1)  # (B,), padding aside
        ball = Ball(e, eps * factor(severity) * length, "l2", batch.ids.to(e.device), draws, free[..., None])
        with at_rest(model, e.device):
            objective = goal.objective(_on(batch, e.device), model, teachers, draws.step)

            def j(x: Tensor) -> Tensor:
                return objective(embedded(backbone, batch, x, mask))

            if recipe == "power":
                return embedded(backbone, batch, power_step(j, ball, xi, step).x, mask)
            if step_size is not None:
                size = torch.full_like(ball.eps, step_size)
            else:
                size = torch.full_like(ball.eps, _SMART_STEP) if smart else ball.eps * 2.5 / count
            found = ascend(j, ball, _start(ball), count, size, step)
        return embedded(backbone, batch, found.x, mask)

    def _start(ball: Ball) -> Tensor:
        if smart and start is None:
            return ball.start(_SMART_NOISE)
        if start is None:
            return ball.start()
        return ball.project(ball.centre + start * ball.random("unit", "start"))

    return Attack(NAME, "adversarial", "text", SUMMARY, apply, goal.asks, space="embedding")


def _on(batch: Batch, device: torch.device) -> Batch:
    return batch if batch.y.device == device else batch.to(device)


EMBEDDING = Maker(NAME, "adversarial", "text", SUMMARY, adv_embedding)
