"""Tiny students with their initial teachers, for attacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether import tune
from tether.batch import Batch, Output
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.objective import Runner
from tether.teachers.initial import initial_teacher
from tiny import fixed, tiny_bert, tiny_model


def with_lora(model: Model) -> tuple[Model, dict[str, Runner]]:
    """In train mode, as during a step."""
    torch.manual_seed(0)
    tuning = tune.lora(rank=2, dropout=0.5)
    tuning.apply(model)
    return model.train(), {"initial": initial_teacher(model, tuning)}


def lora_images() -> tuple[Model, dict[str, Runner]]:
    return with_lora(tiny_model())


def text_model(folder: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(tiny_bert(folder / "bert"))))
    network = fixed(loaded.backbone.network)
    for name, p in network.named_parameters():  # norms near the identity, as in a real encoder
        if "LayerNorm.weight" in name:
            p.data.fill_(1.0)
    return Model(loaded.backbone, {MAIN: fixed(LinearHead(16, 2), seed=1)}, ("no", "yes")).eval()


def lora_texts(folder: Path) -> tuple[Model, dict[str, Runner]]:
    return with_lora(text_model(folder))


def stir(model: Model) -> None:
    """Move the adapters away from B = 0."""
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=g) * 0.3)


class Affine(nn.Module):
    """z = W x + b on the pixels themselves; as a runner it needs no backbone."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, batch: Batch, hidden: Any = ()) -> Output:
        assert isinstance(batch.x, Tensor)
        features = batch.x.flatten(1)
        return Output(features, {MAIN: nn.functional.linear(features, self.weight, self.bias)})


def affine(classes: int = 2, values: int = 3 * 8 * 8, seed: int = 0) -> Affine:
    g = torch.Generator().manual_seed(seed)
    return Affine(torch.randn(classes, values, generator=g) * 0.2, torch.randn(classes, generator=g))
