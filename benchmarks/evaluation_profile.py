"""Where the stress test spends its time: reading, shifting, the model, metrics, writing.

Shares come from rounds in which one thing happens after the other. The last column compares the wall clock of
the real thing, which makes the next batch while the model runs, with such rounds, in turn.

    python benchmarks/evaluation_profile.py [--preset sentiment] [--limit 100] [--rounds 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from clock import Clock

from tether.config import load_config
from tether.data.examples import Examples
from tether.evaluation import measure as room
from tether.evaluation import predict
from tether.evaluation.kept import Kept
from tether.evaluation.suite import EvalSet, first
from tether.methods import Predict, softmax_main
from tether.scene import ingredients, start, suite_of
from tether.supply import supplies_of

PARTS = ("reading", "shifting", "model", "metrics", "writing")


def once(preset: dict[str, Any], clock: Clock | None) -> float:
    """One stress test into a folder of its own; with a clock, one thing after the other."""
    rule: Predict = softmax_main
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if clock is not None:
            rule = replace(rule, run=clock.timed("model", rule.run))
            for owner, name, part in (
                (Examples, "batch", "reading"),
                (Examples, "sizes", "reading"),
                (EvalSet, "batch", "shifting"),
                (room, "result_rows", "metrics"),
                (room, "_table", "writing"),
                (room, "portray", "writing"),
                (room, "identity", "writing"),
                (Kept, "write", "writing"),
                (Kept, "read", "writing"),
                (room, "_gather", "writing"),
            ):
                stack.enter_context(patch.object(owner, name, clock.timed(part, getattr(owner, name))))
            stack.enter_context(patch.object(predict, "ahead", lambda source: source))
        began = time.perf_counter()
        room.measure(rule=rule, folder=Path(folder), about={}, label="profile", **preset)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="sentiment")
    parser.add_argument("--limit", type=int, default=100, help="samples a set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the row here")
    parser.add_argument("overrides", nargs="*")
    asked = parser.parse_args()
    config = load_config(asked.preset, [f"evaluate.limit={asked.limit}", *asked.overrides])
    data, engine, loaded = ingredients(config)
    suite = suite_of(config, data, supplies_of(config, data, engine, loaded))
    model = start("probe", loaded, data, config.seed, engine).to(engine.device)
    preset = {
        "model": model,
        "sets": [replace(s, examples=first(s.examples, asked.limit)) for s in suite.tests],
        "engine": engine,
        "batch_size": config.evaluate.batch_size,
    }
    once(preset, None)  # fills caches
    clock, serial, real = Clock(), [], []
    for _ in range(asked.rounds):
        serial.append(once(preset, clock))
        real.append(once(preset, None))
    whole = sum(serial)
    row = {
        "preset": asked.preset,
        "sets": len(preset["sets"]),
        "samples": sum(len(s.examples) for s in preset["sets"]),
        **{part: clock.seconds[part] / whole for part in PARTS},
        "rest": 1 - sum(clock.seconds[part] for part in PARTS) / whole,
        "seconds": statistics.median(serial),
        "ahead": statistics.median(r / s for r, s in zip(real, serial, strict=True)),
    }
    print("| data | sets | samples | " + " | ".join(PARTS) + " | rest | s | ahead / in turn |")
    print("|---" * (len(PARTS) + 6) + "|")
    shares = " | ".join(f"{100 * row[part]:.1f}%" for part in (*PARTS, "rest"))
    print(
        f"| {row['preset']} | {row['sets']} | {row['samples']} | {shares} | {row['seconds']:.1f} "
        f"| {row['ahead']:.2f} |"
    )
    if asked.json:
        asked.json.write_text(json.dumps(row, indent=2))


if __name__ == "__main__":
    main()
