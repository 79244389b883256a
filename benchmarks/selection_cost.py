"""What head selection costs when a three-head model predicts: S dropout passes over one, time and operations.

The two are timed in turn on one batch; the ratio is the median over rounds. Operations are torch's count.

    python benchmarks/selection_cost.py [--models minilm-l6,dinov2-s] [--rounds 9] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from step_cost import MODELS

from tether import methods
from tether.config import load_config
from tether.evaluation.flops import flops
from tether.scene import ingredients, start

BATCH, FRACTION, PASSES = 32, 0.1, (5, 10)


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    asked = parser.parse_args()
    rows = []
    print("| model | trained part | S | time / one pass | operations / one pass |")
    print("|---|---|---|---|---|")
    for name in asked.models.split(","):
        preset, *overrides = MODELS[name]
        config = load_config(preset, overrides)
        data, engine, loaded = ingredients(config)
        model = start("probe", loaded, data, config.seed, engine)
        built = methods.build("three_head", {"fraction": FRACTION})
        built.tuning.apply(model)
        tuned, total = model.parameter_counts()
        model.to(engine.device).eval()
        batch = data.id_test.batch(range(BATCH)).to(engine.device)

        def once(m: object = model, b: object = batch) -> object:
            with torch.no_grad():
                return m(b)  # type: ignore[operator]

        for passes in PASSES:
            rule = methods.build(
                "three_head", {"fraction": FRACTION, "passes": passes, "selection": "confidence"}
            ).predict

            def select(r: object = rule, m: object = model, b: object = batch) -> object:
                return r.run(m, b)  # type: ignore[attr-defined]

            once(), select()
            ratios = []
            for _ in range(asked.rounds):
                base = seconds(once)
                ratios.append(seconds(select) / base)
            row = {
                "model": name,
                "trained": tuned / total,
                "passes": passes,
                "time": statistics.median(ratios),
                "operations": flops(select) / flops(once),
            }
            rows.append(row)
            print(
                f"| {name} | {row['trained']:.0%} | {passes} | {row['time']:.2f} | {row['operations']:.2f} |",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
