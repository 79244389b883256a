"""What a step costs against the Hugging Face Trainer, in turn on one machine: ratios, not seconds.

Each measurement is a process of its own that trains a few steps on the same samples at the same batch size
and precision: tether's methods, and plain LoRA (peft) and full fine-tuning by the Trainer. A round runs every
variant once; a ratio is the median over rounds of the two median steps of one round.

    python benchmarks/step_cost.py [--json FILE] [--models minilm-l6,efficientnet-lite0,dinov2-s] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# Model -> the preset whose data it reads, and picture size; batch as in the preset.
MODELS = {
    "minilm-l6": ["sentiment"],
    "efficientnet-lite0": ["emoji"],
    "dinov2-s": ["emoji", "model.name=dinov2-s", "train.batch_size=16"],
}
OURS = ("finetune", "lora", "rdft", "aug_ce", "three_head")
THEIRS = ("trainer finetune", "trainer lora")
SAMPLES = 128  # of the training set, a few steps an epoch; what is computed once is done in the first step

OURS_CHILD = Path(__file__).with_name("train_steps.py")

THEIRS_CHILD = """
import json, resource, statistics, sys, time
import torch
from torch import nn
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainerCallback, TrainingArguments
from tether.config import load_config
from tether.scene import ingredients
from tether.tune.targets import targets

preset, out, samples, kind, *overrides = sys.argv[1:]
config = load_config(preset, overrides)
data, engine, loaded = ingredients(config)
count, samples = len(data.train), int(samples)
backbone, train = loaded.backbone, data.train.subset([i * count // samples for i in range(samples)])

class Net(nn.Module):
    '''The library's network and a linear head, as a user would write them.'''
    def __init__(self):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.width, len(data.classes))
    def forward(self, rows=None, labels=None):
        # Reading and tokenising inside the step, as tether's step does.
        batch = train.batch(rows.tolist()).to(rows.device)
        logits = self.head(backbone.encode(batch).features)
        return {"loss": nn.functional.cross_entropy(logits, batch.y), "logits": logits}

net = Net()
if kind == "lora":
    names = [name for name in targets(backbone.network, backbone.blocks())[0]]
    ends = ["backbone.network." + name for name in names]
    net = get_peft_model(net, LoraConfig(r=8, lora_alpha=16, target_modules=ends, modules_to_save=["head"]))
else:
    for p in net.parameters():
        p.requires_grad_(True)

class Clock(TrainerCallback):
    def __init__(self):
        self.times = []
    def on_step_begin(self, *args, **kwargs):
        self.began = time.monotonic()
    def on_step_end(self, *args, **kwargs):
        self.times.append(time.monotonic() - self.began)

clock = Clock()
arguments = TrainingArguments(
    out, max_steps=config.train.steps, per_device_train_batch_size=config.train.batch_size, report_to=[],
    save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=engine.device.type == "cpu",
    remove_unused_columns=False, learning_rate=1e-4, dataloader_pin_memory=False,
    bf16=engine.precision == "bf16",
)
rows = [{"rows": i, "labels": int(train.labels[i])} for i in range(len(train))]
Trainer(net, arguments, train_dataset=rows, callbacks=[clock]).train()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if torch.cuda.is_available():
    peak = torch.cuda.max_memory_allocated()
print(json.dumps({"step": statistics.median(clock.times), "peak": peak}))
"""


def measure(name: str, model: str, steps: int) -> dict[str, float]:
    """One process of one variant."""
    preset, *overrides = MODELS[model]
    overrides = [*overrides, f"train.steps={steps}", "evaluate.shifts=[]"]
    with tempfile.TemporaryDirectory() as out:
        if name in THEIRS:
            command = ["-c", THEIRS_CHILD, preset, out, str(SAMPLES), name.split()[1], *overrides]
        else:
            command = [str(OURS_CHILD), preset, out, str(SAMPLES), *overrides, f"method={name}"]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False,
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{model}, {name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


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
