"""What a config would do, and what is wrong with its data, before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from tether.batch import Batch
from tether.compose import method_of
from tether.config import Config, load_config
from tether.data.doctor import Findings, show
from tether.data.doctor import examine as examine_data
from tether.estimate import Estimate, estimate
from tether.models.backbone import Backbone, ReadsTokens
from tether.models.model import Model
from tether.models.start import random_start
from tether.report.tables import seconds
from tether.scene import check_model, ingredients
from tether.tune.lora import targets


@dataclass(frozen=True)
class Diagnosis:
    """What `tether doctor` says.

    Attributes:
        method: its name.
        data: counts, duplicates, imbalance.
        trained: parameters that would train, and all of them.
        steps: optimiser steps of the run.
        cost: measured on a few steps; None when not asked for.
        adapted: how many modules LoRA would adapt.
        left_out: modules inside the blocks that cannot take LoRA.
    """

    method: str
    data: Findings
    trained: tuple[int, int]
    steps: int
    cost: Estimate | None
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
            "texts_cut": {k: v.cut for k, v in self.data.lengths.items()},
            "trainable_parameters": self.trained[0],
            "total_parameters": self.trained[1],
            "steps": self.steps,
            "cost": None if self.cost is None else {**asdict(self.cost), "seconds": self.cost.seconds},
            "lora_modules": self.adapted,
            "lora_left_out": list(self.left_out),
        }

    def show(self, console: Console) -> None:
        """Print it."""
        show(self.data, console)
        trained, total = self.trained
        console.print(f"\n{self.method}: {self.steps} steps, {trained:,} of {total:,} parameters train")
        if self.cost is not None:
            console.print(_cost_line(self.cost), highlight=False)
        console.print(f"LoRA would adapt {self.adapted} modules in the blocks", highlight=False)
        if self.left_out:
            console.print(
                f"and leaves out {len(self.left_out)} grouped convolutions, which cannot take it",
                highlight=False,
            )
        console.print("leakage found: see above" if self.leaks else "no leakage found", style="bold")


def _cost_line(cost: Estimate) -> str:
    parts = {
        "teachers": cost.teacher_seconds,
        "training": cost.train_seconds,
        "choosing": cost.choose_seconds,
        "stress test": cost.test_seconds,
    }
    said = ", ".join(f"{name} {seconds(value)}" for name, value in parts.items() if value > 0)
    memory = f"{cost.peak_memory_bytes / 2**30:.1f} GiB at the peak"
    return f"about {seconds(cost.seconds)} ({said}), {memory}; measured on a few steps of this machine"


def examine(config: str | Path | Config, overrides: Sequence[str] = (), measure: bool = True) -> Diagnosis:
    """Load data and model as a run would, measure a few steps, keep nothing.

    Args:
        config: as for `tether.train`.
        overrides: "key=value".
        measure: whether to run a few steps for the estimate of time and memory.

    Example:
        >>> examine("digits").leaks  # doctest: +SKIP
        False
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    data, engine, loaded = ingredients(config)
    network = loaded.backbone.network
    adapted, left_out = targets(network, loaded.backbone.blocks())
    reader = loaded.backbone if isinstance(loaded.backbone, ReadsTokens) else None
    findings = examine_data(
        data,
        count_tokens=None if reader is None else reader.count_tokens,
        max_tokens=None if reader is None else reader.max_length,
        embed=lambda batch: _embed(loaded.backbone, batch),
        model_classes=loaded.classes if loaded.classes and set(loaded.classes) == set(data.classes) else None,
    )
    method = method_of(config)
    check_model(method, loaded)
    model: Model = random_start(loaded, data.classes, config.seed)
    groups = method.tuning.apply(model)
    return Diagnosis(
        method=config.method.name,
        data=findings,
        trained=model.parameter_counts(),
        steps=config.train.total_steps(len(data.train)) if groups else 0,
        cost=estimate(config, data, engine, loaded) if measure else None,
        adapted=len(adapted),
        left_out=tuple(left_out),
    )


def _embed(backbone: Backbone, batch: Batch) -> NDArray[np.float32]:
    with torch.no_grad():
        return backbone.encode(batch).features.float().numpy()
