"""Tiny models and batches with fixed weights: no network, no downloads, milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.models.backbone import Encoded, Rate, capture
from tether.models.heads import LinearHead
from tether.models.model import MAIN, Model

CLASSES = ("a", "b", "c")
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "good",
    "bad",
    "fine",
    "poor",
    "film",
    "day",
    "very",
    "not",
    "a",
    "the",
    "is",
    "was",
    "it",
    ",",
    ".",
]


def fixed(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter fixed values that do not depend on the global generator."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


class TinyNet(nn.Module):
    """Two 1x1-and-3x3 convolution blocks, a depthwise one among them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Tanh(), nn.Conv2d(6, 8, 1)),
                nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.Tanh(), nn.Dropout(0.5)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3))


class TinyImages(nn.Module):
    """A backbone over TinyNet, width 8."""

    network: nn.Module
    rates: Mapping[str, Rate] = {"backbone": Rate(1e-2), "adapter": Rate(1e-2), "head": Rate(1e-2)}

    def __init__(self) -> None:
        super().__init__()
        self.network = fixed(TinyNet())
        self.width = 8
        self.family = "tiny"
        self._blocks = list(self.network.blocks)
        self.calls: list[int] = []  # batch sizes of the forward passes

    def embed(self, batch: Batch) -> Batch:
        if batch.space == self.family:
            return batch
        return Batch(batch.x * 2 - 1, batch.y, batch.ids, batch.group, space=self.family)

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        self.calls.append(len(batch))
        with capture(self._blocks, hidden) as found:
            features = self.network(self.embed(batch).x)
        return Encoded(features, found)

    def blocks(self) -> Sequence[nn.Module]:
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        return (0, 1)

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.txt").write_text(str(weight.tolist()))


def tiny_model(classes: Sequence[str] = CLASSES) -> Model:
    backbone = TinyImages()
    head = fixed(LinearHead(8, len(classes)), seed=1)
    return Model(backbone, {MAIN: head}, classes).eval()


def tiny_batch(n: int = 16, seed: int = 0, classes: int = 3, side: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 3, side, side, generator=generator)
    return Batch(x, torch.arange(n) % classes, torch.arange(n) + 100)


class ListExamples:
    """Examples held in memory, with the few members the loop and the evaluation use."""

    def __init__(self, batch: Batch) -> None:
        self.held = batch
        self.labels = batch.y.numpy()
        self.ids = batch.ids.numpy()
        self.read = SimpleNamespace(size=None)

    @property
    def digests(self) -> Any:
        """Something of each picture's content, 16 bytes."""
        assert isinstance(self.held.x, torch.Tensor)
        return np.ascontiguousarray((self.held.x.flatten(1)[:, :16] * 255).byte()).view("V16").reshape(-1)

    def __len__(self) -> int:
        return len(self.held)

    def batch(self, rows: Sequence[int]) -> Batch:
        return self.held.take(list(rows))

    def sizes(self) -> Any:
        x = self.held.x
        return np.asarray([len(text) for text in x]) if isinstance(x, tuple) else None

    def subset(self, rows: Sequence[int]) -> ListExamples:
        return ListExamples(self.held.take(list(rows)))


def darker(batch: Batch, student: Any, teachers: Any, draws: Any) -> Batch:
    """A view that needs no random numbers."""
    return Batch(batch.x * 0.5, batch.y, batch.ids, batch.group)


def tiny_bert(folder: Path, layers: int = 2, width: int = 16, seed: int = 0) -> Path:
    """A random BERT encoder with a word-piece tokenizer, saved as a transformers folder."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    # As a mapping: transformers 5 does not read a vocabulary's path, and knows no word then.
    words = {word: i for i, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=words, model_max_length=32).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=40,
    )
    torch.manual_seed(seed)
    BertModel(config).save_pretrained(folder)
    return folder


def tiny_texts(n: int = 8) -> Batch:
    pool = ["a good film .", "it was a very bad day", "fine", "the film is not good , it is poor"]
    return Batch(
        tuple(pool[i % 4] for i in range(n)), torch.tensor([i % 2 for i in range(n)]), torch.arange(n)
    )
