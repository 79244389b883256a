"""What `dad` and `dad_lite` share: a teacher that makes discrete examples and teaches on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tether import tune
from tether.finish import average
from tether.methods.method import Initial, Method, Saved, TeacherSource
from tether.objective import Term, ce, kd
from tether.shifts import several

Loss = Literal["three_term", "joint"]
AS_GIVEN = (3,)  # the severity at which a discrete example has the eps that the options say


def discrete_distillation(
    generator: Mapping[str, Any],
    loss: Loss,
    teacher: str | None,
    temperature: float,
    ema_decay: float | None,
) -> Method:
    """Distillation from one teacher on clean samples and on its discrete adversarial examples (METHODS 3.3).

    Args:
        generator: options of the shift `dae`.
        loss: "three_term" CE(x) + .5 KD(x) + .5 KD(x'); "joint" the mean over x and x' of .75 CE + .25 KD.
            KD has its T^2.
        teacher: a folder, or None for the initial model.
        temperature: T.
        ema_decay: of the average that is kept; None keeps the last weights.
    """
    spec = {"name": "dae", **generator, **({} if teacher is None else {"teacher": teacher})}
    source: TeacherSource = Initial() if teacher is None else Saved(teacher)
    clean, away = (1.0, 0.0) if loss == "three_term" else (0.375, 0.375)
    taught = 0.5 if loss == "three_term" else 0.125
    terms: tuple[Term, ...] = (
        ce(clean),
        kd("robust", taught, temperature, name="kd_clean"),
        *((ce(away, view="shifted", name="ce_dae"),) if away else ()),
        kd("robust", taught, temperature, view="shifted", name="kd_dae"),
    )
    return Method(
        tuning=tune.full(),
        terms=terms,
        views=several(1, [spec], AS_GIVEN),
        teachers={"robust": source},
        average=None if ema_decay is None else average.ema(ema_decay),
    )
