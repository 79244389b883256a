"""Write a Hugging Face model folder without building the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def write_folder(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Make `folder` with `config.json` and `model.safetensors`."""
    folder.mkdir()
    write_config(folder / "config.json", config)
    whole = {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})


def write_config(path: Path, config: Mapping[str, Any]) -> None:
    """One JSON file of the folder."""
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


# How transformers' image processors write "resize to a square, scale to [0, 1], normalise as ImageNet does".
IMAGENET_PIXELS: Mapping[str, Any] = {
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
