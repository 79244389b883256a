"""Where a training step spends its time: waiting for samples, views, student, teachers, backward, optimiser.

A view that asks a model (an attack, a discretiser) keeps what that costs. One thread reads the next samples
while a step runs, so `waiting` is what the step really waits.

    python benchmarks/training_profile.py [--preset emoji] [--methods rdft,dad_lite] [--steps 12] [KEY=V ...]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from clock import Clock
from train_steps import fitted_steps

from tether.batch import Batch
from tether.data.ahead import ahead
from tether.objective import StepForwards
from tether.objective.plan import STUDENT
from tether.shifts import Mixture
from tether.training import Engine

loop = import_module("tether.training.fit")  # the package gives the function of this name
PARTS = ("waiting", "views", "student", "teachers", "backward", "optimiser")


def profile(preset: str, method: str, steps: int, overrides: list[str]) -> dict[str, float]:
    """Shares of the steps after the first, which fills what is computed once."""
    clock = Clock(whole=frozenset({"views"}))
    stepped: list[float] = []

    def waited(source: Iterator[Batch]) -> Iterator[Batch]:
        coming = ahead(source)
        take = clock.timed("waiting", lambda: next(coming, None))
        while (batch := take()) is not None:
            if len(stepped) == 1:
                clock.seconds.clear()  # the first step filled the caches
            stepped.append(time.perf_counter())
            yield batch

    plain = StepForwards._output

    def output(self: StepForwards, who: str, *given: Any) -> Any:
        return clock.timed("student" if who == STUDENT else "teachers", plain)(self, who, *given)

    asked = [*overrides, f"train.steps={steps}", f"method={method}"]
    with tempfile.TemporaryDirectory() as folder:
        fitted_steps(preset, Path(folder), "128", asked)  # trains the teachers, which are then in the cache
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for owner, name, new in (
            (loop, "ahead", waited),
            (Mixture, "__call__", clock.timed("views", Mixture.__call__)),
            (StepForwards, "_output", output),
            (Engine, "backward", clock.timed("backward", Engine.backward)),
            (torch.optim.AdamW, "step", clock.timed("optimiser", torch.optim.AdamW.step)),
        ):
            stack.enter_context(patch.object(owner, name, new))
        fitted_steps(preset, Path(folder), "128", asked)
    ended = time.perf_counter()
    whole = ended - stepped[1]
    return {part: clock.seconds[part] / whole for part in PARTS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="emoji")
    parser.add_argument("--methods", default="finetune,aug_ce,rdft,three_head,dad_lite")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_args()
    rows = []
    print(f"| {asked.preset} | " + " | ".join(PARTS) + " | rest |")
    print("|---" * (len(PARTS) + 2) + "|")
    for method in asked.methods.split(","):
        shares = profile(asked.preset, method, asked.steps, asked.overrides)
        rest = 1 - sum(shares.values())
        rows.append({"preset": asked.preset, "method": method, **shares, "rest": rest})
        print(
            f"| `{method}` | " + " | ".join(f"{v:.1%}" for v in (*shares.values(), rest)) + " |", flush=True
        )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
