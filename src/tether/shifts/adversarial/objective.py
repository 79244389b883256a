"""J: what an attack makes large, per sample (METHODS 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.batch import Batch
from tether.errors import RequestError

Mode = Literal["auto", "div", "anchor", "teacher", "self", "consistency"]
ALONE = ("self", "consistency")  # modes that ask the student alone
Logits = Callable[[Batch], Tensor]  # a batch to logits (B, C)

_HEAD = "main"  # the head that predicts


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of log-probabilities (B, C) -> (B,), in nats; differentiable in both."""
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


@dataclass(frozen=True)
class Objective:
    """J of one batch: call it with a changed batch of the same rows, get (B,) nats.

    Attributes:
        mode: "div" KL(p0(x') || pS(x')), as document 000 prints it; "anchor" KL(sg p0(x) || pS(x'));
            "teacher" CE(z0(x'), y); "self" CE(zS(x'), y), as in Madry et al. 2018; "consistency"
            KL(sg pS(x) || pS(x')), as in VAT and TRADES; "auto" anchor for warm samples, div for the others.
        student: of the attacked model.
        teacher: of M_0, or None in the modes that ask the student alone.
        aim: log p(x) of the clean batch, (B, C): M_0's for "anchor" and "auto", the student's for
            "consistency".
        warm: which samples "auto" treats as warm, (B,) bool.
        symmetric: add the KL in the other direction (SMART).
    """

    mode: Mode
    student: Logits
    teacher: Logits | None = None
    aim: Tensor | None = None
    warm: Tensor | None = None
    symmetric: bool = False

    def __call__(self, batch: Batch) -> Tensor:
        """J(x') of each row, float32."""
        if self.mode == "self":
            return F.cross_entropy(self.student(batch).float(), batch.y, reduction="none")
        if self.mode == "teacher":
            assert self.teacher is not None
            return F.cross_entropy(self.teacher(batch).float(), batch.y, reduction="none")
        log_s = F.log_softmax(self.student(batch).float(), dim=-1)
        if self.mode in ("anchor", "consistency") or (self.warm is not None and bool(self.warm.all())):
            assert self.aim is not None
            return self._distance(self.aim, log_s)
        assert self.teacher is not None
        # The gradient has to pass both models: with M_0 detached this would be another objective.
        div = self._distance(F.log_softmax(self.teacher(batch).float(), dim=-1), log_s)
        if self.warm is None or not bool(self.warm.any()):
            return div
        assert self.aim is not None
        return torch.where(self.warm, self._distance(self.aim, log_s), div)

    def take(self, rows: Sequence[int]) -> Objective:
        """The same objective for these rows, in this order; a row may come twice."""
        aim = None if self.aim is None else self.aim[list(rows)]
        return replace(self, aim=aim, warm=None if self.warm is None else self.warm[list(rows)])

    def _distance(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        there = kl(log_p, log_q)
        return there + kl(log_q, log_p) if self.symmetric else there


@dataclass(frozen=True)
class Goal:
    """The options that decide J, the same for pixels and texts.

    Attributes:
        mode: as of Objective.
        warmup_steps: training steps in which every sample is warm.
        kappa: a sample is warm while its KL(p0(x) || pS(x)) on the clean input is below this, in nats.
        teacher: the name of M_0 among the method's teachers.
        symmetric: as of Objective.
    """

    mode: Mode = "auto"
    warmup_steps: int = 0
    kappa: float = 1e-3
    teacher: str = "initial"
    symmetric: bool = False

    @property
    def asks(self) -> tuple[str, ...]:
        """Names of the teachers that J needs."""
        return () if self.mode in ALONE else (self.teacher,)

    def objective(self, batch: Batch, model: Any, teachers: Mapping[str, Any] | None, step: int) -> Objective:
        """J of this batch.

        METHODS smooths the warm test over steps. That average would be state which a resumed run has not,
        and one number for a batch makes a sample's view hang on its neighbours; so each sample is asked
        for itself, from its own clean KL.

        Raises:
            RequestError: the teacher is not bound, or no model was given.
        """
        if model is None:
            raise RequestError("attack: expected the model that it is made against, got none; pass it")
        student = _logits_of(model)
        if self.mode == "self":
            return Objective("self", student)
        if self.mode == "consistency":
            with torch.no_grad():
                own = F.log_softmax(student(batch).float(), dim=-1)
            return Objective("consistency", student, aim=own, symmetric=self.symmetric)
        if not teachers or self.teacher not in teachers:
            raise RequestError(
                f"attack: mode {self.mode!r} asks the teacher {self.teacher!r}, got "
                f"{', '.join(teachers or ()) or 'none'}; use a method with that teacher, or mode 'self'"
            )
        teacher = _logits_of(teachers[self.teacher])
        if self.mode in ("div", "teacher"):
            return Objective(self.mode, student, teacher, symmetric=self.symmetric)
        with torch.no_grad():
            aim = F.log_softmax(teacher(batch).float(), dim=-1)
            warm = None
            if self.mode == "auto":
                if step < self.warmup_steps:
                    warm = torch.ones(len(batch), dtype=torch.bool, device=aim.device)
                else:
                    warm = kl(aim, F.log_softmax(student(batch).float(), dim=-1)) < self.kappa
        return Objective(self.mode, student, teacher, aim, warm, self.symmetric)


def _logits_of(runner: Any) -> Logits:
    def logits(batch: Batch) -> Tensor:
        found: Tensor = runner(batch, ()).logits[_HEAD]
        asked = torch.is_grad_enabled() and isinstance(batch.x, Tensor) and batch.x.requires_grad
        if asked and not found.requires_grad:  # left alone, `div` would climb another objective in silence
            raise RequestError(
                "attack: expected models through which a gradient reaches the input, got one that cuts it; "
                "take no_grad and detach out of its embed and forward"
            )
        return found

    return logits
