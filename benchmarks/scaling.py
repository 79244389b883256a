"""How the cost of a step grows with depth and batch, and that of a run with the data, with the fitted slope.

A vision transformer of width 192 on 64-pixel pictures, random weights; every point is a process of its own,
in turn over the rounds. The slope is that of the logarithms: 1 is proportional.

    python benchmarks/scaling.py [--rounds 3] [--json FILE] [--plot FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from child import least_steps, measured
from matplotlib.ticker import LogLocator

METHODS = ("finetune", "lora", "rdft")
DEPTHS, BATCHES, SAMPLES = (2, 4, 8, 12), (16, 32, 64, 128), (128, 256, 512, 1024)
MIDDLE = {"depth": 4, "batch": 32, "samples": 128}  # what a point is where its axis does not say otherwise
STEPS = 10
AXES = {"depth": DEPTHS, "batch": BATCHES, "samples": SAMPLES}
SAID = {
    "depth": "blocks, seconds a step",
    "batch": "batch, seconds a step",
    "samples": "training samples, seconds of 3 epochs",
}


def vision_transformer(folder: Path, depth: int) -> Path:
    """A saved ViT-Ti of this depth, random weights."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=192, num_hidden_layers=depth, num_attention_heads=3, intermediate_size=768,
        image_size=64, patch_size=8,
    )  # fmt: skip
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    about = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 64, "width": 64},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(about))
    return folder


def measure(method: str, depth: int, batch: int, samples: int, whole: bool) -> float:
    """Median seconds of a step, or the seconds of three epochs with all that is computed once."""
    with tempfile.TemporaryDirectory() as folder:
        model = vision_transformer(Path(folder) / "vit", depth)
        steps = max(STEPS, least_steps(samples, batch))
        length = "train.epochs=3" if whole else f"train.steps={steps}"
        found = measured(
            "train_steps.py", "digits", Path(folder) / "run", samples, f"model.name={model}",
            f"method={method}", "data.size=64", f"train.batch_size={batch}", length, "evaluate.shifts=[]",
        )  # fmt: skip
    return found["whole" if whole else "step"]


def slope(x: list[float], y: list[float]) -> float:
    """Of log y over log x, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """One panel an axis, one line a method."""
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for panel, axis in zip(panels, AXES, strict=True):
        for row in (r for r in rows if r["axis"] == axis):
            panel.loglog(row["x"], row["seconds"], marker="o", label=f"{row['method']} {row['slope']:.2f}")
        panel.set_xlabel(SAID[axis])
        panel.set_xticks(AXES[axis], [str(x) for x in AXES[axis]])
        panel.minorticks_off()
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.grid(alpha=0.3)
        panel.legend(title="method, slope", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--plot", type=Path, help="draw them here")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("| axis | method | " + "seconds | slope |")
    print("|---|---|---|---|")
    for axis, values in AXES.items():
        points = [(method, value) for method in METHODS for value in values]
        found: dict[tuple[str, int], list[float]] = {point: [] for point in points}
        for _ in range(asked.rounds):
            for method, value in points:
                found[method, value].append(
                    measure(method, **(MIDDLE | {axis: value}), whole=axis == "samples")
                )
        for method in METHODS:
            seconds = [statistics.median(found[method, value]) for value in values]
            row = {"axis": axis, "method": method, "x": list(values), "seconds": seconds}
            rows.append(row | {"slope": slope(list(values), seconds)})
            told = ", ".join(f"{x}: {s:.3f}" for x, s in zip(values, seconds, strict=True))
            print(f"| {SAID[axis]} | `{method}` | {told} | {rows[-1]['slope']:.2f} |", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=2))
    if asked.plot:
        plot(rows, asked.plot)


if __name__ == "__main__":
    main()
