"""Train a few steps with the Hugging Face Trainer, peft for LoRA, in a process of its own; print their cost.

    python benchmarks/trainer_steps.py PRESET FOLDER SAMPLES lora|finetune [key=value ...]

The same samples, batch, precision and clocks as train_steps.py.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from train_steps import spread
from transformers import Trainer, TrainerCallback, TrainingArguments

from tether.config import load_config
from tether.data import Examples
from tether.models.backbone import Backbone
from tether.scene import ingredients
from tether.training.memory import peak_bytes, reset_peak
from tether.tune.targets import targets


class Net(nn.Module):
    """The library's network and a linear head, as a user would write them."""

    def __init__(self, backbone: Backbone, train: Examples, classes: int) -> None:
        super().__init__()
        self.backbone, self.train_set = backbone, train
        self.head = nn.Linear(backbone.width, classes)

    def forward(self, rows: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """Loss and logits of the samples in these rows."""
        # Reading and tokenising inside the step, as tether's step does.
        batch = self.train_set.batch(rows.tolist()).to(rows.device)
        logits = self.head(self.backbone.encode(batch).features)
        return {"loss": nn.functional.cross_entropy(logits, batch.y), "logits": logits}


class Steps(TrainerCallback):
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_args: Any, **_named: Any) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def on_step_end(self, *_args: Any, **_named: Any) -> None:
        """Stop it."""
        self.seconds.append(time.monotonic() - self.began)


def main() -> None:
    preset, out, samples, kind, *overrides = sys.argv[1:]
    config = load_config(preset, overrides)
    data, engine, loaded = ingredients(config)
    backbone, train = loaded.backbone, spread(data.train, int(samples))
    net: nn.Module = Net(backbone, train, len(data.classes))
    if kind == "lora":
        names = [f"backbone.network.{n}" for n in targets(backbone.network, backbone.blocks())[0]]
        net = get_peft_model(
            net, LoraConfig(r=8, lora_alpha=16, target_modules=names, modules_to_save=["head"])
        )
    else:
        net.requires_grad_(True)
    steps = Steps()
    arguments = TrainingArguments(
        out, max_steps=config.train.steps, per_device_train_batch_size=config.train.batch_size, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=engine.device.type == "cpu",
        remove_unused_columns=False, learning_rate=1e-4, dataloader_pin_memory=False,
        bf16=engine.precision == "bf16",
    )  # fmt: skip
    rows = [{"rows": i, "labels": int(train.labels[i])} for i in range(len(train))]
    reset_peak(engine.device)
    Trainer(net, arguments, train_dataset=rows, callbacks=[steps]).train()
    print(json.dumps({"step": statistics.median(steps.seconds), "peak": peak_bytes(engine.device)}))


if __name__ == "__main__":
    main()
