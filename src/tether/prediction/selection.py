"""For each sample, the clean or the unclean head: the output rule of the three-head method."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor

from tether.batch import NO_LABEL, Batch
from tether.errors import RequestError, nearest
from tether.models.model import MAIN, Model
from tether.models.prefix import once
from tether.prediction.rule import Predict
from tether.prediction.scores import Rule, Uncertainty, divergence, medians, score, uncertainty
from tether.shifts import Draws

COMBINED, UNCLEAN = "combined", "unclean"  # the clean head is the main one
NAME = "select_head"


@dataclass(frozen=True)
class Looked:
    """Mean predictions, U and KL of the clean and the unclean head, in this order; (2, B, C) and (2, B)."""

    mean: Tensor
    u: Tensor
    kl: Tensor


@dataclass(frozen=True)
class Selection:
    """Monte-Carlo dropout over three heads, then eq. 6 of document 003 in one of its forms."""

    rule: Rule
    passes: int
    how: Uncertainty
    seed: int
    floors: tuple[float, float] | None

    def run(self, model: Model, batch: Batch) -> Tensor:
        """Mean probabilities (B, C) of each sample's chosen head."""
        looked = self.look(model, batch)
        unclean = self.choose(looked, batch.y)
        return torch.where(unclean[:, None], looked.mean[1], looked.mean[0])

    def choose(self, looked: Looked, y: Tensor) -> Tensor:
        """Whether the unclean head speaks for a sample, (B,) bool; a tie goes to the clean one.

        Raises:
            RequestError: the oracle without labels, "floored" before it was calibrated.
        """
        if self.rule == "oracle":
            if bool((y == NO_LABEL).any()):
                raise RequestError(
                    "method.selection: the oracle picks the head that is right and so needs labels, which "
                    "new samples do not have; it is an upper bound for evaluation; use floored"
                )
            right = looked.mean.argmax(-1) == y.to(looked.mean.device)  # (2, B)
            return right[1] & ~right[0]
        if self.rule == "floored" and self.floors is None:
            raise RequestError(
                "method.selection: floored compares with medians of validation samples, which this rule has "
                "not seen yet; call settled(model, batches) first"
            )
        scores = score(self.rule, looked.u, looked.kl, looked.mean.amax(-1), self.floors or (0.0, 0.0))
        return scores[1] < scores[0]

    def look(self, model: Model, batch: Batch) -> Looked:
        """Make the passes. The frozen blocks run once (METHODS 4.3)."""
        heads = probabilities(model, batch, self.passes, self.seed)
        combined = heads[COMBINED].mean(0)
        pair = (heads[MAIN], heads[UNCLEAN])
        mean = torch.stack([p.mean(0) for p in pair])
        return Looked(
            mean,
            torch.stack([uncertainty(p, self.how) for p in pair]),
            torch.stack([divergence(combined, m) for m in mean]),
        )

    def calibrate(self, model: Model, batches: Iterable[Batch]) -> Predict:
        """The rule with u0 and k0, the medians over these batches, pooled over the two heads."""
        u, kl = [], []
        for batch in batches:
            looked = self.look(model, batch)
            u.append(looked.u.flatten().cpu())
            kl.append(looked.kl.flatten().cpu())
        if not u:
            raise RequestError(
                "method.selection: floored needs ID validation samples for its medians, got none"
            )
        return replace(self, floors=medians(u, kl)).as_predict()

    def as_predict(self) -> Predict:
        """The rule as one of a method's parts."""
        options: dict[str, Any] = {
            "selection": self.rule,
            "passes": self.passes,
            "uncertainty": self.how,
            "seed": self.seed,
        }
        if self.floors is not None:
            options |= {"u0": self.floors[0], "k0": self.floors[1]}
        unsettled = self.rule == "floored" and self.floors is None
        return Predict(NAME, self.run, options, self.calibrate if unsettled else None)


@torch.no_grad()
def probabilities(model: Model, batch: Batch, passes: int, seed: int) -> Mapping[str, Tensor]:
    """Each head's probabilities in S Monte-Carlo passes, (S, B, C) fp32.

    A pass's dropout belongs to (sample id, pass, seed): other samples in the batch change nothing.

    Raises:
        RequestError: a model without the three heads or without dropout.
    """
    dropout = model.dropout
    missing = [n for n in (MAIN, COMBINED, UNCLEAN) if n not in model.heads]
    if missing or dropout is None:
        raise RequestError(
            f"method.selection: expected a model with the heads {MAIN}, {COMBINED}, {UNCLEAN} and dropout, "
            f"got {list(model.heads)}{'' if dropout else ' and no dropout'}; train it with "
            f"tune.tail(dropout=0.1, copies=('{COMBINED}', '{UNCLEAN}'))"
        )
    batch = model.backbone.embed(batch)
    found: dict[str, list[Tensor]] = {n: [] for n in (MAIN, COMBINED, UNCLEAN)}
    frozen = dropout.frozen_part(model.backbone, batch)
    shared = once(model.backbone, frozen) if frozen else contextlib.nullcontext()
    with shared, dropout.repeated(model.backbone) as repeated:
        for s in range(passes):
            with dropout.passing(Draws(seed, s), batch.ids):
                logits = model(batch).logits
            if s == 0:
                repeated.settle()
            for name, kept in found.items():
                kept.append(torch.softmax(logits[name].float(), -1))
    return {name: torch.stack(kept) for name, kept in found.items()}


def select_head(
    selection: Rule = "floored",
    passes: int = 10,
    uncertainty: Uncertainty = "mean",
    seed: int = 0,
    u0: float | None = None,
    k0: float | None = None,
) -> Predict:
    """Argmin over the clean and unclean head of their U and KL (document 003, eq. 6; METHODS 4.3).

    Args:
        selection: "floored" (U + u0)(KL + k0); "product" U KL as printed; "kl_only"; "u_only"; "confidence",
            the larger top probability; "oracle", an upper bound that reads the labels.
        passes: S, at least 2: one pass has no spread.
        uncertainty: "mean" standard deviation over classes, or "top1".
        seed: of the passes' dropout.
        u0: median of U on ID validation; None until calibrated.
        k0: median of KL there.

    Raises:
        RequestError: fewer than 2 passes, or an unknown selection.
    """
    if selection not in get_args(Rule):
        raise RequestError(
            f"method.selection: unknown rule {selection!r}; {nearest(selection, get_args(Rule))}"
        )
    if passes < 2:
        raise RequestError(
            f"method.passes: expected at least 2 Monte-Carlo passes, got {passes}: one has no spread, so "
            "every uncertainty would be 0; 10 is the default"
        )
    floors = None if u0 is None or k0 is None else (float(u0), float(k0))
    return Selection(selection, passes, uncertainty, seed, floors).as_predict()
