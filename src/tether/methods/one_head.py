"""What `single_teacher` and `combined_head` share: one head, two kinds of data, a teacher for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tether import tune
from tether.methods.method import Initial, Method, TeacherSource, Trained, teacher_source
from tether.methods.robust_teacher import AUGMENTED
from tether.objective import ce, kd
from tether.shifts import Spec, several


def one_head(
    of_clean: Literal["initial", "robust"],
    fraction: float,
    robust_teacher: str | Mapping[str, Any] | None,
    teacher_model: str | None,
    temperature: float,
    shifts: Sequence[Spec] | None,
    severities: tuple[int, ...],
) -> Method:
    """Mean over B clean and B augmented examples of CE + KD_T, unit weights (METHODS 4.2).

    Args:
        of_clean: the teacher of clean examples; the augmented ones' is always the robust one.
        fraction: f of `tune.tail`.
        robust_teacher: as `teacher_source`; None trains the three-head method's on the same views.
        teacher_model: what that one starts from, as `Trained.model`.
        temperature: T.
        shifts: of the augmentation.
        severities: of the augmentation.
    """
    shifted = several(1, shifts, severities, usual=AUGMENTED)
    view = next(iter(shifted))
    own = Trained("robust_teacher", {"shifts": shifts, "severities": severities}, model=teacher_model)
    robust: TeacherSource = own if robust_teacher is None else teacher_source(robust_teacher)
    teachers: dict[str, TeacherSource] = {"robust": robust}
    if of_clean == "initial":
        teachers["initial"] = Initial()
    return Method(
        tuning=tune.tail(fraction),
        terms=(
            ce(0.5),
            kd(of_clean, 0.5, temperature, name="kd_clean_data"),
            ce(0.5, view=view, name="ce_shifted"),
            kd("robust", 0.5, temperature, view=view, name="kd_shifted"),
        ),
        views=shifted,
        teachers=teachers,
    )
