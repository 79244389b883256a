"""What a step costs against the Hugging Face Trainer, in turn on one machine: ratios, not seconds.

Each measurement is a process of its own that trains a few steps on the same samples at the same batch size
and precision: tether's methods, and plain LoRA (peft) and full fine-tuning by the Trainer. A round runs every
variant once; a ratio is the median over rounds of the two median steps of one round.

    python benchmarks/step_cost.py [--json FILE] [--models minilm-l6,efficientnet-lite0,dinov2-s] [--rounds 3]

A method may bring options: --methods "lora,rdft,rdft targets=upper".
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from child import least_steps, measured

from tether.config import load_config

# Model -> the preset whose data it reads, and picture size; batch as in the preset.
MODELS = {
    "minilm-l6": ["sentiment"],
    "efficientnet-lite0": ["emoji"],
    "dinov2-s": ["emoji", "model.name=dinov2-s", "train.batch_size=16"],
}
OURS = (
    "finetune", "lora", "rdft", "rdft targets=upper", "aug_ce", "three_head",
    "three_head shifted_fraction=0.25",
)  # fmt: skip
THEIRS = ("trainer finetune", "trainer lora")
SAMPLES = 128  # of the training set, a few steps an epoch; what is computed once is done in the first step


def measure(name: str, model: str, steps: int) -> dict[str, float]:
    """One process of one variant."""
    preset, *overrides = MODELS[model]
    overrides = [*overrides, f"train.steps={steps}", "evaluate.shifts=[]"]
    with tempfile.TemporaryDirectory() as out:
        if name in THEIRS:
            return measured("trainer_steps.py", preset, out, SAMPLES, name.split()[1], *overrides)
        method, *options = name.split()
        named = [f"method={method}", *(f"method.{option}" for option in options)]
        return measured("train_steps.py", preset, out, SAMPLES, *overrides, *named)


def ratio(runs: list[dict[str, float]], base: list[dict[str, float]], key: str) -> float:
    """Median over rounds of a variant's figure over the base's of the same round."""
    return statistics.median(r[key] / b[key] for r, b in zip(runs, base, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--methods", default=",".join(OURS))
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    asked = parser.parse_args()
    variants = [*THEIRS, *asked.methods.split(",")]
    rows = []
    print("| model | method | step s | / Trainer lora | / Trainer finetune | peak / Trainer lora |")
    print("|---|---|---|---|---|---|")
    for model in asked.models.split(","):
        preset, *overrides = MODELS[model]
        batch = load_config(preset, overrides).train.batch_size
        if asked.steps < (least := least_steps(SAMPLES, batch)):
            raise SystemExit(f"--steps: {model} needs at least {least}, got {asked.steps}")
        for name in variants:
            measure(name, model, 2)  # fills the caches: weights, probes, teachers
        found: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
        for _ in range(asked.rounds):
            for name in variants:
                found[name].append(measure(name, model, asked.steps))
        for name, runs in found.items():
            row = {
                "model": model,
                "method": name,
                "step_seconds": statistics.median(r["step"] for r in runs),
                "step_to_trainer_lora": ratio(runs, found["trainer lora"], "step"),
                "step_to_trainer_finetune": ratio(runs, found["trainer finetune"], "step"),
                "peak_to_trainer_lora": ratio(runs, found["trainer lora"], "peak"),
            }
            rows.append(row)
            print(
                f"| {model} | {name} | {row['step_seconds']:.3f} | {row['step_to_trainer_lora']:.2f} | "
                f"{row['step_to_trainer_finetune']:.2f} | {row['peak_to_trainer_lora']:.2f} |",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
