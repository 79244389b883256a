"""Robust Activation Regularisation: keep each feature's co-variation with its original self (METHODS 1.6)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tether.errors import RequestError
from tether.objective.positions import pooled as pooled

FLOOR = 1e-5  # of the mean variance: a feature that varies less is taken for constant (METHODS 1.6)
MIN_ROWS = 16  # below this Pearson's r is too biased and noisy (METHODS 1.6, simulation)


def correlations(student: Tensor, teacher: Tensor, floor: float = FLOOR) -> tuple[Tensor, Tensor]:
    """Pearson r of each feature with itself in the teacher, over rows; the diagonal of the printed C_l.

    Only the diagonal of corr(A^0, A^S) enters its trace, so it is computed in O(N d) and the d x d matrix
    never exists. A max floor on the norms, not an epsilon inside the root, keeps r = 1 with zero gradient
    for identical inputs and a finite gradient for a constant student feature.

    Args:
        student: (N, D), carries the gradient.
        teacher: (N, D), detached here.
        floor: eps_v over the mean variance of the teacher's features.

    Returns:
        r (D,) in [-1, 1], and alive (D,): which teacher features vary at all.
    """
    a = teacher.detach().float()
    b = student.float()
    a = a - a.mean(0)
    b = b - b.mean(0)
    variance = a.square().mean(0)  # (D,)
    eps = floor * variance.mean()
    least = (len(a) * eps).sqrt()
    # clamp_min has a zero gradient below the floor: that keeps a constant feature's gradient finite.
    norm_a = a.square().sum(0).sqrt().clamp_min(least)
    square_b = b.square().sum(0)
    norm_b = torch.where(square_b > least**2, square_b, least**2).sqrt()
    norms = (norm_a * norm_b).clamp_min(torch.finfo(torch.float32).tiny)
    return (a * b).sum(0) / norms, variance > eps


def check_rows(count: int, else_: str = "") -> None:
    """Refuse fewer rows than a correlation needs.

    Args:
        count: rows there will be in every step.
        else_: a further way out, for the message.

    Raises:
        RequestError: for fewer than 16.
    """
    if count < MIN_ROWS:
        raise RequestError(
            f"RAR compares features over at least {MIN_ROWS} rows, got {count}; raise train.batch_size, "
            f"lower train.accumulate,{else_} take several rows of a sample (rar_rows=tokens), or set "
            "rar_weight=0"
        )


def rar(student: Tensor, teacher: Tensor, power: int = 1, floor: float = FLOOR) -> Tensor:
    """1 - tr(C)/d over live features, in [0, 2]; a statistic of the batch, not a mean over examples.

    Not additive: gradient accumulation averages the micro-batches' values, which is not the value of the
    whole batch. Ignores any positive scale and any shift of a feature, which L_feature does not.

    Args:
        student: rows (N, D), N >= 16: clean and shifted inputs of the batch together.
        teacher: the initial model's rows, (N, D).
        power: 1 as printed; 2 gives mean (1 - r)^2.
        floor: as of `correlations`.

    Raises:
        RequestError: for fewer than 16 rows.

    Source: document 000, L_RAR; METHODS 1.6 for the reading and the floors.

    Example:
        >>> a = torch.randn(32, 8)
        >>> float(rar(a, a).abs()) < 1e-6, round(float(rar(-a, a)), 4)
        (True, 2.0)
    """
    check_rows(len(student))
    r, alive = correlations(student, teacher, floor)
    if not bool(alive.any()):
        warnings.warn("RAR: the initial model's features are all constant here; the term is 0", stacklevel=2)
        return (student * 0.0).sum()
    return (1.0 - r[alive]).pow(power).mean()


def centred(parts: Sequence[Tensor]) -> list[Tensor]:
    """Each source's rows (N, D) less their own mean, so that no row tells which source it came from."""
    return [part - part.mean(0) for part in parts]


def rar_over_layers(
    student: Mapping[int, Tensor], teacher: Mapping[int, Tensor], power: int = 1, floor: float = FLOOR
) -> Tensor:
    """L_RAR with gamma_l = 1/|C|: the mean of `rar` over layers of rows (N, D)."""
    return torch.stack(
        [rar(student[layer], teacher[layer], power, floor) for layer in sorted(student)]
    ).mean()
