"""How long and how fast: the `train:` part of a config, and the learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainConfig(BaseModel):
    """The optimisation: AdamW (0.9, 0.999), cosine with warm-up, clipped gradients (METHODS 1.10).

    Attributes:
        epochs: passes over the training set; not used when `steps` is given.
        steps: optimiser steps.
        max_seconds: wall clock after which training ends where it is, interrupted parts included; null for
            none. The schedule stays that of all steps. Teachers that are trained first have as much each.
        batch_size: samples a step.
        accumulate: micro-batches a step is split into, for memory.
        lr: of everything, or null for the model's own rates for backbone, adapter and head.
        lr_scale: multiplies every rate.
        weight_decay: of everything, or null for the model's own.
        clip: largest gradient norm.
        warmup: fraction of the steps with a linearly rising rate.
        precision: "fp32", "bf16" autocast, or "auto": bf16 on a GPU that has it, else fp32.
        checkpoint_every: steps between checkpoints; a killed run loses at most so many.
        patience: looks at validation without a better score after which training ends, at the best weights;
            null trains to the end. The score is OOD validation among steps within 0.01 of the best ID
            validation, or ID validation where there is no other.
        validate_every: steps between two looks; null takes the controller's interval, or ten looks a run.
            Without patience and without a controller nobody looks.
        group_lengths: texts of like length share a batch, so that little of it is padding; pictures are all
            of one size and keep the plain order.
        cache_mb: memory for what teachers say of the clean training samples, which is then computed once and
            not every epoch; 0 computes it every time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=3, ge=1)
    steps: int | None = Field(default=None, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=64, ge=1)
    accumulate: int = Field(default=1, ge=1)
    lr: float | None = Field(default=None, gt=0)
    lr_scale: float = Field(default=1.0, gt=0)
    weight_decay: float | None = Field(default=None, ge=0)
    clip: float = Field(default=1.0, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_every: int = Field(default=100, ge=1)
    patience: int | None = Field(default=None, ge=1)
    validate_every: int | None = Field(default=None, ge=1)
    group_lengths: bool = True
    cache_mb: int = Field(default=1024, ge=0)

    def deciding(self) -> dict[str, Any]:
        """What the weights depend on, for fingerprints: a key that came later counts only when it is used."""
        raw = self.model_dump(mode="json", exclude={"checkpoint_every", "cache_mb"})
        if self.max_seconds is None:
            raw.pop("max_seconds")
        return raw

    def total_steps(self, samples: int) -> int:
        """Optimiser steps over a training set of this size; a last short batch counts."""
        return self.steps if self.steps is not None else self.epochs * math.ceil(samples / self.batch_size)

    def per_epoch(self, samples: int) -> int:
        """Steps of one pass over a training set of this size."""
        return math.ceil(samples / self.batch_size)

    def factor(self, step: int, total: int, tail: float = 0.0) -> float:
        """What the base rate is multiplied with at a step in [0, total).

        Args:
            tail: in the last part of this size the rate stays where the cosine was when it began.
        """
        step = min(step, math.ceil((1.0 - tail) * total))
        warm = max(1, round(self.warmup * total)) if self.warmup > 0 else 0
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
