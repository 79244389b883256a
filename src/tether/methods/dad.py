"""DAD: discrete adversarial examples of a robust teacher, distilled into a student (document 002)."""

from __future__ import annotations

from tether.errors import RequestError
from tether.methods.discrete import Loss, discrete_distillation
from tether.methods.method import Method
from tether.shifts.discrete.adversary import EPS, START, STEP


def dad(
    weights: str | None = None,
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
    """CE(x) + .5 KD_T(x) + .5 KD_T(x'), x' the teacher's examples made discrete by a VQGAN (METHODS 3).

    The examples are made once, offline, and kept in the cache. Everything of the student trains, from the
    linear probe. Departures: an example that the teacher does not call by its label is replaced by the plain
    reconstruction (in the released code that rule never fires); no mixup, cutmix or random erasing.

    Args:
        weights: of the VQGAN: the folder or hub name of a diffusers VQModel. Without, use `dad_lite`.
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
        ema_decay: keep a moving average of the weights (.99992 in the released code); null for the last.
    """
    if weights is None:
        raise RequestError(
            "method.weights: dad expects the folder or hub name of a trained VQGAN (a diffusers VQModel); "
            "dad_lite trains a small quantiser on your pictures instead"
        )
    return discrete_distillation(
        {"backend": "diffusers", "weights": weights, "eps": eps, "step_size": step_size, "ascents": ascents,
         "random_start": random_start, "vq_only": vq_only, "last_step_size": last_step_size,
         "rising_over": rising_over},
        loss, robust_teacher, temperature, ema_decay,
    )  # fmt: skip
