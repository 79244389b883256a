"""Peak memory of `rdft` against `lora`, measured in turn, each run in a process of its own.

Shows what sharing the base weights is worth: the initial teacher of `rdft` costs no second copy.

    python benchmarks/peak_memory.py [--preset sentiment] [--steps 12] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from child import measured

VARIANTS = {
    "lora": ["method=lora"],
    "rdft, initial teacher only": ["method=rdft", "method.alpha=1"],
    "rdft, both teachers": ["method=rdft"],
    "finetune": ["method=finetune"],
}


def measure(preset: str, overrides: list[str], steps: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as out:
        return measured("train_steps.py", preset, out, "all", f"train.steps={steps}", *overrides)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="sentiment")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for overrides in VARIANTS.values():  # a first round fills the caches (probe, task teacher)
        measure(asked.preset, overrides, asked.steps)
    for _ in range(asked.rounds):
        for name, overrides in VARIANTS.items():
            found[name].append(measure(asked.preset, overrides, asked.steps))
    rows = []
    for name, runs in found.items():
        ratios = {
            key: statistics.median(r[key] / base[key] for r, base in zip(runs, found["lora"], strict=True))
            for key in ("peak", "step")
        }
        peak = statistics.median(r["peak"] for r in runs) / 2**20
        weights = round(runs[0]["weights"] / 2**20, 1)
        rows.append(
            {
                "variant": name,
                "weights_mib": weights,
                "peak_mib": round(peak),
                **{f"{k}_ratio": v for k, v in ratios.items()},
            }
        )
    print(f"| {asked.preset} | weights MiB | peak MiB | peak / lora | step / lora |\n|---|---|---|---|---|")
    for row in rows:
        ratios = (f"{row['peak_ratio']:.2f}", f"{row['step_ratio']:.2f}")
        cells = (row["variant"], row["weights_mib"], row["peak_mib"], *ratios)
        print("| " + " | ".join(map(str, cells)) + " |")
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
