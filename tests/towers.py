"""Tiny random two-tower models on disk: CLIP, SigLIP and a dual encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing

WORDS = ["<pad>", "<unk>", "<s>", "</s>", "a", "photo", "of", "red", "green", "blue", "."]
TOWER = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VISION = {"image_size": 32, "patch_size": 16, **TOWER}
TEXT = {
    "vocab_size": len(WORDS), "max_position_embeddings": 12, "pad_token_id": 0, "bos_token_id": 2,
    "eos_token_id": 3, **TOWER,
}  # fmt: skip


def clip() -> Any:
    return hf.CLIPModel(hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8))


def siglip() -> Any:
    return hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config=VISION))


def dual() -> Any:
    text = hf.BertConfig(**{k: v for k, v in TEXT.items() if k not in ("bos_token_id", "eos_token_id")})
    config = hf.VisionTextDualEncoderConfig.from_vision_text_configs(
        hf.ViTConfig(**VISION), text, projection_dim=8
    )
    return hf.VisionTextDualEncoderModel(config)


MODELS = {"clip": clip, "siglip": siglip, "dual": dual}


def saved(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    network = MODELS[name]().eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():  # fresh networks hold zeros and ones that would hide a mistake
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    with torch.no_grad():
        network.logit_scale.fill_(2.0)
    network.save_pretrained(folder)
    whole = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    whole.pre_tokenizer = pre_tokenizers.Whitespace()
    whole.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    hf.PreTrainedTokenizerFast(
        tokenizer_object=whole, model_max_length=12, pad_token="<pad>", unk_token="<unk>", bos_token="<s>",
        eos_token="</s>",
    ).save_pretrained(folder)  # fmt: skip
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}})
    )
    return folder
