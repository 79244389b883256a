"""DAD-lite: DAD with a small quantiser trained here instead of a large VQGAN (document 002)."""

from __future__ import annotations

from typing import Literal

from tether.methods.discrete import Loss, discrete_distillation
from tether.methods.method import Method
from tether.shifts.discrete.adversary import EPS, START, STEP
from tether.shifts.discrete.fit import STEPS


def dad_lite(
    backend: Literal["vq", "patch_kmeans"] = "vq",
    weights: str | None = None,
    quantiser_steps: int = STEPS,
    loss: Loss = "three_term",
    robust_teacher: str | None = None,
    temperature: float = 4.0,
    eps: float = EPS,
    step_size: float = STEP,
    ascents: int = 1,
    random_start: float = START,
    vq_only: bool = False,
    last_step_size: float | None = None,
    rising_over: int = 0,
    ema_decay: float | None = None,
) -> Method:
    """`dad` with a quantiser trained on the training pictures, so its name says lite (METHODS 3.5).

    Args:
        backend: "vq", a small VQ-VAE, or "patch_kmeans", centroids of patches.
        weights: a folder that `tether shifts train-vq` wrote; null trains one and keeps it in the cache.
        quantiser_steps: of that training.
        loss: "three_term", or "joint" as in the released loop: .75 CE + .25 KD on both halves.
        robust_teacher: folder of a robust model with these classes, which makes the examples and teaches;
            null for the initial model with its head.
        temperature: T of the distillation.
        eps: L2 radius at 224 px, scaled to other sizes.
        step_size: of an ascent step, likewise.
        ascents: steps.
        random_start: chance that a sample starts at a random place on the sphere.
        vq_only: the control: quantised, not perturbed. Most of DAD's shift is this (METHODS 3.4).
        last_step_size: the step size rises to this in five stages; null keeps it.
        rising_over: training steps that the rise takes.
        ema_decay: keep a moving average of the weights; null for the last.
    """
    return discrete_distillation(
        {"backend": backend, "weights": weights, "steps": quantiser_steps, "eps": eps, "step_size": step_size,
         "ascents": ascents, "random_start": random_start, "vq_only": vq_only,
         "last_step_size": last_step_size, "rising_over": rising_over},
        loss, robust_teacher, temperature, ema_decay,
    )  # fmt: skip
