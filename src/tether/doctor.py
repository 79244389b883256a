"""What a config would do, and what is wrong with its data, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tether import methods
from tether.config import Config, load_config
from tether.data.doctor import Findings, show
from tether.data.doctor import examine as examine_data
from tether.models.model import Model
from tether.models.start import random_start
from tether.run import ingredients
from tether.tune.lora import targets


@dataclass(frozen=True)
class Diagnosis:
    """What `tether doctor` says.

    Attributes:
        method: its name.
        data: counts, duplicates, imbalance.
        trained: parameters that would train, and all of them.
        steps: optimiser steps of the run.
        adapted: how many modules LoRA would adapt.
        left_out: modules inside the blocks that cannot take LoRA.
    """

    method: str
    data: Findings
    trained: tuple[int, int]
    steps: int
    adapted: int
    left_out: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Whether some test or validation row is also a training row."""
        return self.data.leakage

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "method": self.method,
            "leakage": self.leaks,
            "counts": {k: dict(v) for k, v in self.data.counts.items()},
            "imbalance": self.data.imbalance,
            "skipped": self.data.skipped,
            "trainable_parameters": self.trained[0],
            "total_parameters": self.trained[1],
            "steps": self.steps,
            "lora_modules": self.adapted,
            "lora_left_out": list(self.left_out),
        }

    def show(self, console: Console) -> None:
        """Print it."""
        show(self.data, console)
        trained, total = self.trained
        console.print(f"\n{self.method}: {self.steps} steps, {trained:,} of {total:,} parameters train")
        console.print(f"LoRA would adapt {self.adapted} modules in the blocks", highlight=False)
        if self.left_out:
            console.print(
                f"and leaves out {len(self.left_out)} grouped convolutions, which cannot take it",
                highlight=False,
            )
        console.print("leakage found: see above" if self.leaks else "no leakage found", style="bold")


def examine(config: str | Path | Config, overrides: Sequence[str] = ()) -> Diagnosis:
    """Load data and model as a run would, train nothing.

    Example:
        >>> examine("digits").leaks  # doctest: +SKIP
        False
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    data, _, loaded = ingredients(config)
    network = loaded.backbone.network
    adapted, left_out = targets(network, loaded.backbone.blocks())
    method = methods.build(config.method.name, config.method.options)
    model: Model = random_start(loaded, data.classes, config.seed)
    groups = method.tuning.apply(model)
    return Diagnosis(
        method=config.method.name,
        data=examine_data(data),
        trained=model.parameter_counts(),
        steps=config.train.total_steps(len(data.train)) if groups else 0,
        adapted=len(adapted),
        left_out=tuple(left_out),
    )
