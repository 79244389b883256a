"""`adv_divergence`: pixels moved to where the student leaves its teacher (METHODS 1.8)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from tether.batch import Batch
from tether.shifts.adversarial.ascent import Ball, Norm, ascend, power_step
from tether.shifts.adversarial.budget import default_eps, factor, positive
from tether.shifts.adversarial.objective import Goal, Mode
from tether.shifts.adversarial.rest import at_rest
from tether.shifts.adversarial.sanity import noise_warning
from tether.shifts.attack import Attack
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels

NAME = "adv_divergence"
SUMMARY = "pixels moved within eps to where the model leaves its teacher, or is wrong"


def adv_divergence(
    eps: float | None = None,
    steps: int = 3,
    step_size: float | None = None,
    start: float | None = None,
    norm: Norm = "linf",
    mode: Mode = "auto",
    search: Literal["ascent", "power"] = "ascent",
    xi: float = 0.1,
    warmup_steps: int = 0,
    kappa: float = 1e-3,
    teacher: str = "initial",
) -> Attack:
    """Adversarial pictures. Document 000 prints x + eps sign(grad KL(M_0 || M_S)); METHODS 1.8 mends it.

    The printed formula is exactly zero while the student equals M_0. Mode "auto" asks such samples with
    "anchor" instead. Departures from METHODS: "auto" decides sample by sample and without memory (see
    `Goal.objective`).

    Args:
        eps: budget at severity 3, in [0, 1] pixel units; severities 1 to 5 scale it by .25 .5 1 1.5 2. Null
            takes 4/255, for sides up to 64 px 8/255, and 0.5 in L2.
        steps: K; the cost is K forwards and backwards and one more forward.
        step_size: null takes 2.5 eps / K.
        start: deviation of a normal start around x, as TRADES has it; null draws from the whole ball.
        norm: "linf" or "l2".
        mode: J (see `Objective`). "self" needs no teacher and is the one for stress tests;
            "consistency" needs neither teacher nor label.
        search: "ascent", or "power" for one power iteration, as in VAT.
        xi: L2 length of VAT's probing offset.
        warmup_steps: training steps in which "auto" is "anchor".
        kappa: clean KL in nats below which "auto" is "anchor" for a sample.
        teacher: which teacher of the method is M_0.

    Raises:
        RequestError: a budget or count that is not positive.

    Example:
        >>> adv_divergence(mode="self").teachers
        ()
    """
    positive(NAME, eps=eps, steps=steps, step_size=step_size, start=start, xi=xi)
    goal = Goal(mode, warmup_steps, kappa, teacher)

    def radius(x: Tensor, severity: int) -> float:
        return (eps if eps is not None else default_eps(norm, min(x.shape[2:]))) * factor(severity)

    def apply(batch: Batch, severity: int, draws: Draws, model: Any, teachers: Any) -> Batch:
        def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
            clean = Batch(x, batch.y.to(x.device), ids)
            far = torch.full((len(x),), radius(x, severity), device=x.device)
            with at_rest(model, x.device):
                objective = goal.objective(clean, model, teachers, draws.step)

                def j(moved: Tensor) -> Tensor:
                    return objective(Batch(moved, clean.y, ids))

                ball = Ball(x, far, norm, ids, draws, box=True)
                step: Literal["sign", "unit"] = "sign" if norm == "linf" else "unit"
                if search == "power":
                    return power_step(j, ball, xi, step).x
                size = far * 2.5 / steps if step_size is None else torch.full_like(far, step_size)
                return ascend(j, ball, ball.start(start), steps, size, step).x

        return on_pixels(change)(batch, severity, draws)

    def sanity(run: Any, clean: Batch, severity: int) -> str | None:
        assert isinstance(clean.x, Tensor)
        if norm != "linf":  # random signs of an L2 budget are too weak to say anything
            return None
        return noise_warning(NAME, run, clean, radius(clean.x, severity))

    return Attack(NAME, "adversarial", "image", SUMMARY, apply, goal.asks, sanity=sanity)


IMAGE = Maker(NAME, "adversarial", "image", SUMMARY, adv_divergence)
