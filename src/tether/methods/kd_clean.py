"""`kd_clean`: the control that tells what shifted views add to distillation."""

from __future__ import annotations

from tether import tune
from tether.methods.method import Initial, Method
from tether.methods.student import HeadStart
from tether.objective import ce, kd
from tether.objective.divergences import Direction


def kd_clean(
    weight: float = 0.3,
    temperature: float = 2.0,
    kd_direction: Direction = "forward",
    rank: int = 8,
    lora_alpha: float = 16.0,
    start: HeadStart = "auto",
) -> Method:
    """CE + weight KD from the initial model, both on clean inputs only (METHODS 6).

    Args:
        weight: as RDFT's lambda 1, so that the two differ by the view alone.
        temperature: T.
        kd_direction: "forward" KL(teacher || student), "reverse" or "js".
        rank: of the LoRA student.
        lora_alpha: over rank, the adapters' scale.
        start: the student's head at step 0: "auto" takes one that the model brings for these classes, else a
            random one; "probe" fits a linear probe where it brings none.
    """
    return Method(
        tuning=tune.lora(rank, lora_alpha),
        terms=(ce(), kd("initial", weight, temperature, kd_direction)),
        teachers={"initial": Initial()},
        start=start,
    )
