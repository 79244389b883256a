"""Three heads on a shared tail, taught by the initial model and a small robust one (document 003)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tether import tune
from tether.errors import RequestError
from tether.methods.method import Initial, Method, TeacherSource, Trained, teacher_source
from tether.methods.robust_teacher import AUGMENTED
from tether.models.model import MAIN
from tether.objective import Term, ce, kd
from tether.prediction.scores import Rule, Uncertainty
from tether.prediction.selection import COMBINED, UNCLEAN, select_head
from tether.shifts import Spec, several
from tether.tune.tail import Section

ORIG, STN = "initial", "robust"


def three_head(
    fraction: float = 0.1,
    section: Section = "auto",
    dropout: float = 0.1,
    temperature: float = 4.0,
    kd_weight: float = 1.0,
    teachers: Literal["corrected", "single"] = "corrected",
    robust_teacher: str | Mapping[str, Any] | None = None,
    teacher_model: str | None = "small",
    shifts: Sequence[Spec] | None = None,
    severities: tuple[int, ...] = (1, 2, 3),
    selection: Rule = "floored",
    passes: int = 10,
    uncertainty: Uncertainty = "mean",
    shifted_fraction: float = 1.0,
) -> Method:
    """Clean, combined and unclean head; dropout passes choose who speaks (document 003, eq. 3-6; METHODS 4).

    L = (L_clean + L_aug) / 2, with L_clean = CE_c + KD(c, ORIG) + CE_m + KD(m, ORIG) on the clean inputs and
    L_aug = CE_u + KD(u, STN) + CE_m + KD(m, STN) on augmented ones of the same samples; ORIG is the initial
    model, STN a small robust teacher. The clean head is the model's main one. Under a zero-shot head the
    three sections are copies of the image tower's top, and the class embeddings do not train (METHODS 4.5).

    Departures, reasons in METHODS 4.2 and 4.3: the printed KD terms name one teacher for both parts
    (`teachers=single`); the printed selection lets a certain but broken head win (`selection=product`).

    Args:
        fraction: f, tuned part over all parameters; the smallest k_split within it is taken.
        section: what each head has for itself: "block", "top", "classifier" (see `tune.tail`).
        dropout: p, in the tuned part and at the heads; in training and in the passes, nowhere else.
        temperature: T of the distillation.
        kd_weight: of the four distillation terms against the four cross-entropies.
        teachers: "corrected", or "single": STN teaches all, as printed.
        robust_teacher: a folder, a method to train it with, or {name: ..., options}; null trains the method
            `robust_teacher` on the same views.
        teacher_model: what that starts from: a model's name; "small" for mobilenet-v2 on pictures and
            minilm-l3 on texts; null for the student's own.
        shifts: of the augmented data, for student and teacher alike; null takes the data's, else augmix and
            pixmix for pictures and the default train shifts for texts.
        severities: 0 to 5, drawn per sample.
        selection: "floored", "product" (as printed), "kl_only", "u_only", "confidence", or "oracle", which
            reads the labels: evaluation only.
        passes: S, at least 2.
        uncertainty: "mean" standard deviation over classes, or "top1".
        shifted_fraction: the chance of each sample to be augmented in a step; L_aug stays what it is on
            average, and costs so much less.
    """
    if dropout == 0:
        raise RequestError(
            "method.dropout: expected more than 0: without it all passes are one; 0.1 is the default"
        )
    own = Trained("robust_teacher", {"shifts": shifts, "severities": severities}, model=teacher_model)
    robust: TeacherSource = own if robust_teacher is None else teacher_source(robust_teacher)
    on_clean = ORIG if teachers == "corrected" else STN

    def taught(head: str, view: str, by: str, name: str) -> tuple[Term, Term]:
        return (
            ce(0.5, view=view, head=head, name=f"ce_{name}"),
            kd(by, 0.5 * kd_weight, temperature, view=view, name=f"kd_{name}", head=head),
        )

    return Method(
        tuning=tune.tail(fraction, dropout, (COMBINED, UNCLEAN), section),
        terms=(
            *taught(MAIN, "clean", on_clean, "clean"),
            *taught(COMBINED, "clean", on_clean, "combined_clean"),
            *taught(UNCLEAN, "shifted", STN, "unclean"),
            *taught(COMBINED, "shifted", STN, "combined_shifted"),
        ),
        views=several(1, shifts, severities, usual=AUGMENTED, fraction=shifted_fraction),
        teachers={STN: robust} | ({ORIG: Initial()} if on_clean == ORIG else {}),
        predict=select_head(selection, passes, uncertainty),
    )
