"""A small two-tower model made here: what zero-shot heads, WiSE-FT and `teacher_head: zs` run on offline.

Locked-text tuning (Zhai et al. 2022): the text tower is a frozen sentence encoder (MiniLM-L6), the image
tower a ViT-S/14 whose upper blocks and projection learn to match (emoji picture, emoji name) pairs of the
training style. No class label is used, only names such as "ambulance"; held-out emoji are never seen.

The result is a plain `VisionTextDualEncoderModel` folder. Its text tower is a BertModel with one layer more,
which computes the masked mean (see `mean_export`), because the class pools the first token.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.data import DataConfig, load_data
from tether.data.once import once
from tether.data.presets import prepare
from tether.data.weights import weights
from tether.files import cache_dir
from tether.models import mean_export
from tether.models.cls_export import TANH_SCALE
from tether.models.matching import symmetric_info_nce
from tether.progress import bar

SIDE = 112  # pixels: 64 patches; M_0 is worth something there (docs/results)
EPOCHS = 12
BATCH = 64
TUNED_BLOCKS = 4  # the upper ones; the lower two thirds stay as they were and run once
RATE, PROJECTION_RATE = 5e-5, 1e-3
TEMPERATURE = 0.07
TEMPLATE = "a picture of a {}"
VERSION = 1  # raise when this recipe changes


def emoji_two_tower() -> Path:
    """The folder in the cache; trained once, in minutes on two cores."""
    return once(cache_dir() / "weights" / f"emoji-two-tower-{VERSION}", build)


def build(folder: Path, epochs: int = EPOCHS) -> None:
    """Assemble the towers, tune the image tower, save."""
    text_source = weights("minilm-l6")
    whole = assemble(text_source, weights("dinov2-s"))
    pictures, names = pairs()
    with torch.no_grad():
        texts = nn.functional.normalize(text_features(whole, text_source, names), dim=-1)
    tune(whole, pictures, texts, epochs)
    whole.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copyfile(text_source / name, folder / name)
    mean, std = pixel_statistics()
    processor = {"image_mean": mean, "image_std": std, "size": {"height": SIDE, "width": SIDE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2))


def assemble(text_source: Path, image_source: Path) -> Any:
    """Both towers as one model; the text projection undoes the pooler's scale, so it is the embedding."""
    import transformers

    encoder = transformers.AutoModel.from_pretrained(text_source, dtype=torch.float32).eval()
    encoder.pooler = None
    width = int(encoder.config.hidden_size)
    text: Any = mean_export.classifier(encoder, torch.zeros(2, width), torch.zeros(2))
    vision = transformers.AutoModel.from_pretrained(image_source, dtype=torch.float32).eval()
    config = transformers.VisionTextDualEncoderConfig.from_vision_text_configs(
        vision.config, text.bert.config, projection_dim=width
    )
    whole = transformers.VisionTextDualEncoderModel(config, vision_model=vision, text_model=text.bert).eval()
    with torch.no_grad():
        whole.text_projection.weight.copy_(torch.eye(width) / TANH_SCALE)
        torch.nn.init.orthogonal_(whole.visual_projection.weight, generator=_generator(0))
        whole.logit_scale.fill_(float(torch.tensor(1 / TEMPERATURE).log()))
    return whole


def pairs() -> tuple[Tensor, list[str]]:
    """Pictures (N, 3, SIDE, SIDE) of the training style, and each one's name."""
    import pyarrow.parquet as pq

    data = load_data(DataConfig(preset="emoji", size=SIDE))
    batch = data.train.batch(range(len(data.train)))
    table = next(prepare("emoji").glob("*.parquet"))
    names = pq.read_table(table, columns=["name"]).column("name").to_pylist()
    assert isinstance(batch.x, Tensor)
    return batch.x, [str(names[i]) for i in batch.ids.tolist()]


def pixel_statistics() -> tuple[list[float], list[float]]:
    """ImageNet's mean and deviation, with which DINOv2 was trained."""
    return [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def text_features(whole: Any, text_source: Path, names: Sequence[str]) -> Tensor:
    """Projected text features (N, D) of names in the template, not normalised."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(text_source)
    coded = tokenizer([TEMPLATE.format(n) for n in names], padding=True, return_tensors="pt")
    found = whole.get_text_features(**coded)
    features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return features


def contrastive(image: Tensor, text: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of pictures and their names, (B, D) x (B, D) -> scalar.

    Args:
        image: normalised image features.
        text: normalised text features.
        scale: inverse temperature.
    """
    return symmetric_info_nce(scale * image @ text.T)


def tune(whole: Any, pictures: Tensor, texts: Tensor, epochs: int) -> None:
    """Train the image tower's upper blocks, its last norm and the projection, in place."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in pixel_statistics())
    layers = whole.vision_model.encoder.layer
    for parameter in whole.parameters():
        parameter.requires_grad_(False)
    tuned = [p for part in (*layers[-TUNED_BLOCKS:], whole.vision_model.layernorm) for p in part.parameters()]
    head = list(whole.visual_projection.parameters())
    for parameter in (*tuned, *head):
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW([{"params": tuned, "lr": RATE}, {"params": head, "lr": PROJECTION_RATE}])
    steps = epochs * (len(pictures) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [RATE, PROJECTION_RATE], total_steps=steps, pct_start=0.1
    )
    scale = whole.logit_scale.exp().detach()
    generator = _generator(1)
    with bar("emoji-two-tower: training", steps) as progress:
        for _ in range(epochs):
            order = torch.randperm(len(pictures), generator=generator)
            for rows in order[: len(order) // BATCH * BATCH].view(-1, BATCH):
                x = (jitter(pictures[rows], generator) - mean) / std
                pooled = whole.vision_model(pixel_values=x).pooler_output
                image = nn.functional.normalize(whole.visual_projection(pooled), dim=-1)
                loss = contrastive(image, texts[rows], scale)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                progress.advance()


def jitter(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Shift each picture by up to a tenth and scale it a little, on white: pairs are few."""
    n = len(pictures)
    scale = 1 + 0.2 * (torch.rand(n, generator=generator) - 0.5)
    move = 0.2 * (torch.rand(n, 2, generator=generator) - 0.5)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = move
    grid = nn.functional.affine_grid(theta, list(pictures.shape), align_corners=False)
    return 1 - nn.functional.grid_sample(1 - pictures, grid, align_corners=False)  # outside is white


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
