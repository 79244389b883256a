"""Lambda adapted on validation: the ID floor and the primal-dual rule (document 000; METHODS 1.9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

REGULARISERS = ("robust", "feature", "rar")
_LARGEST = math.log(30.0)  # a weight stays within a factor of 30 of where it began
_KEEP = 0.5  # weight of the past in the averages of the scores
_WARM, _FROZEN = 0.2, 0.2  # nothing changes in the first and the last part of training


@dataclass(frozen=True)
class Seen:
    """What a controller may look at: validation scores, and means of the terms since it last looked.

    Attributes:
        id_val: accuracy on ID validation.
        ood_val: on OOD validation, None when there is none.
        count: samples of ID validation.
        terms: term name -> mean value.
    """

    id_val: float
    ood_val: float | None
    count: int
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """One look at validation, logged: what was seen, what the weights are multiplied with, and why."""

    step: int
    factors: Mapping[str, float]
    reason: str
    id_val: float
    ood_val: float | None


class Steering(Protocol):
    """A controller at work; a checkpoint holds its state."""

    def factors(self) -> Mapping[str, float]:
        """Term name -> what its weight is multiplied with now; a term that is not named keeps its own."""
        ...

    def decide(self, done: int, total: int, seen: Seen) -> Decision:
        """Look, and perhaps change the factors."""
        ...

    def state(self) -> dict[str, Any]:
        """JSON values."""
        ...

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


@dataclass(frozen=True)
class Controller:
    """How term weights follow validation.

    Attributes:
        name: for logs.
        begin: starts one at work.
        every: steps between two looks, from steps an epoch: max(100, a quarter of an epoch), unless given.
        given: the ID validation of a reference run -> the same controller with it; None where it takes none.
    """

    name: str
    begin: Callable[[], Steering]
    every: int | None = None
    given: Callable[[float], Controller] | None = None

    def interval(self, per_epoch: int, total: int) -> int:
        """Steps between two looks; in a short run a tenth of it, or the controller would never look."""
        if self.every is not None:
            return self.every
        return max(1, min(max(100, per_epoch // 4), total // 10))


def dead_band(reference: float, count: int) -> float:
    """h: changes of an accuracy within it are sampling error (METHODS 1.9).

    Example:
        >>> round(dead_band(0.9, 400), 4)
        0.0075
    """
    return max(0.003, 0.5 * math.sqrt(max(0.0, reference * (1.0 - reference)) / max(1, count)))


def frozen(done: int, total: int) -> bool:
    """Whether the weights may not change now; the last part trains the final model at constant weights."""
    return done < _WARM * total or done > (1.0 - _FROZEN) * total


@dataclass
class _IdFloor:
    terms: tuple[str, ...]
    tolerance: float
    reference: float | None
    rho: float = 0.0
    best: float = 0.0
    ema_id: float | None = None
    ema_ood: float | None = None
    ood_before: float | None = None

    def factors(self) -> Mapping[str, float]:
        return {name: math.exp(self.rho) for name in self.terms}

    def decide(self, done: int, total: int, seen: Seen) -> Decision:
        self.best = max(self.best, seen.id_val)
        self.ema_id = _ema(self.ema_id, seen.id_val)
        self.ema_ood = None if seen.ood_val is None else _ema(self.ema_ood, seen.ood_val)
        reason = "frozen" if frozen(done, total) else self._move(seen.count)
        return Decision(done, dict(self.factors()), reason, seen.id_val, seen.ood_val)

    def _move(self, count: int) -> str:
        goal = self.best if self.reference is None else self.reference
        h = dead_band(goal, count)
        assert self.ema_id is not None
        slack = self.ema_id - (goal - self.tolerance)
        before = self.ood_before
        if slack < -h:
            change, reason = -0.4 * min(1.0, -slack / 0.02), "ID below its floor: less regularisation"
        elif slack <= h:
            return "inside the noise"
        elif self.ema_ood is None or before is None or self.ema_ood >= before - h:
            change, reason = 0.2 * min(1.0, slack / 0.02), "ID has slack: more regularisation"
            self.ood_before = self.ema_ood
        else:
            change, reason = -0.1, "more regularisation stopped helping: back off"
        self.rho = min(_LARGEST, max(-_LARGEST, self.rho + change))
        return reason

    def state(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k not in ("terms", "tolerance", "reference")}

    def load(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass
class _PrimalDual:
    term: str
    limit: float | None
    rate: float
    weight: float  # lambda_0: factors are relative to it
    factor: float = 1.0
    ema: float | None = None
    first: float | None = None

    def factors(self) -> Mapping[str, float]:
        return {self.term: self.factor}

    def decide(self, done: int, total: int, seen: Seen) -> Decision:
        value = seen.terms.get(self.term)
        reason = "frozen"
        if value is not None:
            self.ema = _ema(self.ema, value)
            if not frozen(done, total):
                self.first = self.ema if self.first is None else self.first
                limit = 0.25 * self.first if self.limit is None else self.limit
                lam = self.weight * self.factor + self.rate * (self.ema - limit)
                self.factor = min(30.0, max(1 / 30.0, lam / self.weight))
                reason = f"{self.term} {self.ema:.4g} against {limit:.4g}"
        return Decision(done, dict(self.factors()), reason, seen.id_val, seen.ood_val)

    def state(self) -> dict[str, Any]:
        return {"factor": self.factor, "ema": self.ema, "first": self.first}

    def load(self, state: Mapping[str, Any]) -> None:
        self.factor, self.ema, self.first = state["factor"], state["ema"], state["first"]


def _ema(past: float | None, now: float) -> float:
    return now if past is None else _KEEP * past + (1.0 - _KEEP) * now


def id_floor(
    terms: Sequence[str] = REGULARISERS,
    tolerance: float = 0.01,
    reference: float | None = None,
    every: int | None = None,
) -> Controller:
    """One multiplier of all regularisers, lowered when ID validation falls, raised when it has slack.

    OOD validation decides whether raising still helps; OOD test domains steer nothing.

    Args:
        terms: whose weights it multiplies; their ratio stays.
        tolerance: how far ID validation may lie below the reference.
        reference: ID validation of plain LoRA with the same budget; None takes the best seen in this run.
        every: steps between two looks; None is max(100, a quarter of an epoch).
    """
    return Controller(
        "id_floor",
        lambda: _IdFloor(tuple(terms), tolerance, reference),
        every,
        given=lambda score: id_floor(terms, tolerance, score, every),
    )


def primal_dual(
    weight: float,
    term: str = "robust",
    limit: float | None = None,
    rate: float = 1.0,
    every: int | None = None,
) -> Controller:
    """Lambda <- clip(lambda + rate (L - limit)): the constraint L <= limit, which needs no OOD labels.

    Args:
        weight: lambda_0 of the term.
        term: whose weight it is.
        limit: METHODS takes 0.25 x the final L of plain LoRA fine-tuning; None takes 0.25 x the first mean
            seen after the warm-up of this run, which needs no run before it.
        rate: eta.
        every: steps between two looks.
    """
    return Controller("primal_dual", lambda: _PrimalDual(term, limit, rate, weight), every)
