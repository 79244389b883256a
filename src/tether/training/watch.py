"""Looks at validation during training: the lambda controller and early stopping (METHODS 1.9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.finish import Judge, Scores
from tether.models.model import Model
from tether.objective.controller import Controller, Seen
from tether.training import log

TOLERANCE = 0.01  # ID validation may lie so far below the best and the step still be the best one
NAME = "validation.jsonl"


class Watch:
    """One run's looks at validation, resumed with it.

    Test sets are out of its reach: it has a judge, and a judge is built from validation sets alone.

    Args:
        controller: changes the terms' weights; None leaves them.
        patience: looks without a better score after which training ends at the best weights; None trains on.
        every: steps between two looks; None for the controller's own interval, or ten looks a run.
        judge: scores a model on validation.
        folder: of the run; `validation.jsonl` goes there, a row a look.
    """

    def __init__(
        self,
        controller: Controller | None,
        patience: int | None,
        every: int | None,
        judge: Judge | None,
        per_epoch: int,
        total: int,
        folder: Path,
    ) -> None:
        self._judge = judge if controller is not None or patience is not None else None
        self._steering = None if controller is None else controller.begin()
        self._patience = patience
        own = max(1, total // 10) if controller is None else controller.interval(per_epoch, total)
        self._every = every or own
        self._total = total
        self._path = folder / NAME
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._best: Scores | None = None
        self._highest_id = 0.0
        self._waited = 0
        self._kept: dict[str, Tensor] = {}

    @property
    def factors(self) -> Mapping[str, float]:
        """Term name -> what its weight is multiplied with; a term that is not named keeps its own."""
        return {} if self._steering is None else self._steering.factors()

    def note(self, terms: Mapping[str, float]) -> None:
        """Remember a step's terms until the next look."""
        if self._judge is None:
            return
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def look(self, done: int, model: Model, parameters: Mapping[str, nn.Parameter], main: bool) -> bool:
        """After `done` steps: validate when it is time; whether training should end here."""
        if self._judge is None or (done % self._every and done != self._total):
            return False
        scores = self._judge(model)
        model.train()
        row: dict[str, Any] = {"step": done, "id_val": scores.id_val, "ood_val": scores.ood_val}
        if self._steering is not None:
            means = {name: value / max(1, self._steps) for name, value in self._sums.items()}
            seen = Seen(scores.id_val, scores.ood_val, scores.count, means)
            decision = self._steering.decide(done, self._total, seen)
            row |= {"factors": dict(decision.factors), "reason": decision.reason}
        self._sums, self._steps = {}, 0
        if self._patience is not None:
            better = self._is_better(scores)
            row["best"] = better
            if better:
                self._best, self._waited = scores, 0
                self._kept = {n: p.detach().clone() for n, p in parameters.items()}
            else:
                self._waited += 1
        if main:
            log.append(self._path, row)
        return self._patience is not None and self._waited >= self._patience

    def _is_better(self, scores: Scores) -> bool:
        """The best OOD validation among steps whose ID validation is within 0.01 of the best; else by ID."""
        self._highest_id = max(self._highest_id, scores.id_val)
        floor, best = self._highest_id - TOLERANCE, self._best
        if best is None:
            return True
        if scores.ood_val is None or best.ood_val is None:
            return scores.id_val > best.id_val
        if scores.id_val < floor:
            return False
        return best.id_val < floor or scores.ood_val > best.ood_val

    def settle(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Set the weights to the best ones seen, where early stopping kept some."""
        with torch.no_grad():
            for name, value in self._kept.items():
                parameters[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The kept weights, for the checkpoint."""
        return {f"best/{name}": value for name, value in self._kept.items()}

    def state(self) -> str:
        """The rest, as JSON, for the checkpoint."""
        best = None if self._best is None else [self._best.id_val, self._best.ood_val, self._best.count]
        return json.dumps(
            {
                "steering": None if self._steering is None else self._steering.state(),
                "best": best,
                "highest_id": self._highest_id,
                "waited": self._waited,
                "sums": self._sums,
                "steps": self._steps,
            }
        )

    def load(self, state: str, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from a checkpoint; rows of looks that will be repeated are dropped by `cut`."""
        past = json.loads(state)
        if self._steering is not None:
            self._steering.load(past["steering"])
        self._best = None if past["best"] is None else Scores(*past["best"])
        self._highest_id, self._waited = past["highest_id"], past["waited"]
        self._sums, self._steps = past["sums"], past["steps"]
        self._kept = {
            n.removeprefix("best/"): t.to(device) for n, t in tensors.items() if n.startswith("best/")
        }

    def cut(self, done: int) -> None:
        """Drop the rows of looks after `done` steps."""
        log.cut(self._path, done + 1)
