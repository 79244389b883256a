"""Image models of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.models import rates
from tether.models.backbone import Encoded, Rate, blank_picture, capture, depth_fractions, feature_device
from tether.models.discover import (
    Plain,
    Slot,
    find_blocks,
    is_convolutional,
    linear_layer,
    stage_ends,
    take_off,
)
from tether.models.head_file import write_head
from tether.models.heads import linear_head
from tether.models.pixels import Pixels

MANY_BLOCKS = 6  # more than this in a convolutional network are blocks, not stages


class TransformersImages(nn.Module):
    """An image model read in one of three ways.

    `pooling="head"`: the network is a `...ForImageClassification`; features are what its last linear layer
    receives: CLS for ViT, CLS beside the patch mean for DINOv2, the pooled map for a convolutional network.
    Such a model is saved as that very class, exactly.
    `pooling="cls"` and `"mean"`: the network is an encoder; features are the first token, or the mean of
    the patch tokens. Saved as the encoder with the head in a file beside it (`head_file`).

    Args:
        network: the transformers module.
        pooling: "head", "cls" or "mean".
        pixels: how it wants its pictures.

    Example:
        >>> backbone = load_backbone(ModelConfig(name="facebook/dinov2-small")).backbone  # doctest: +SKIP
        >>> backbone.width  # CLS and patch mean  # doctest: +SKIP
        768
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(self, network: nn.Module, pooling: str, pixels: Pixels) -> None:
        super().__init__()
        config: Any = network.config
        self.network = network
        self.pooling = pooling
        self.pixels = pixels
        self.config = config
        self._slot: Slot | None = None
        # The classification layer the network came with, as plain weight and bias: a head does its work.
        self.own: Plain | None = None
        self._blocks = find_blocks(network)
        if pooling == "head":
            self._slot, self.own = take_off(network, int(config.num_labels))
            self.width = self.own[0].shape[1]
        else:
            self.width = int(config.hidden_size)
        self.family = f"{config.model_type}-{pixels.name}"
        self._convolutional = is_convolutional(self._blocks)
        self.rates = rates.CONVOLUTIONAL if self._convolutional else rates.IMAGE
        self._taps: tuple[int, ...] | None = None

    def embed(self, batch: Batch) -> Batch:
        """Pixels (B, 3, H, W) in [0, 1] to normalised pixels, resized if the network takes one size."""
        return self.pixels.embed(batch, self.family, feature_device(self.network))

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, D) and block outputs, (B, T, D) or (B, C, H, W)."""
        x = self.embed(batch).x
        with capture(self._blocks, hidden) as found:
            if self._slot is None:
                states = self.network(pixel_values=x).last_hidden_state
                features = states.mean((2, 3)) if states.dim() == 4 else self._pool(states)
            else:
                with self._slot.listen() as heard:
                    self.network(pixel_values=x)
                features = heard[0]
        return Encoded(features, found)

    def _pool(self, states: Tensor) -> Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        has_cls = any(n.endswith("cls_token") for n, _ in self.network.named_parameters())
        prefix = has_cls + int(getattr(self.config, "num_register_tokens", 0) or 0)
        return states[:, prefix:].mean(1)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers, or the stages or blocks of a convolutional network."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Depths 1/4, 1/2, 3/4 and 1; the stage outputs of a convolutional network."""
        if self._taps is None:
            count = len(self._blocks)
            self._taps = depth_fractions(count)
            if self._convolutional and count > MANY_BLOCKS:
                self._taps = stage_ends(self._look())
        return self._taps

    def blank(self) -> Batch:
        """One black picture."""
        return blank_picture(self.pixels.side, feature_device(self.network))

    def _look(self) -> Mapping[int, Tensor]:
        """Every block's output for one black picture."""
        with torch.no_grad():
            return self.encode(self.blank(), range(len(self._blocks))).hidden

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """A folder `AutoModelForImageClassification` loads; for pooling cls, mean: `AutoModel`, a head."""
        if self._slot is None:
            self.save_network(folder)
            write_head(folder, linear_head(weight, bias), classes, pooling=self.pooling)
            return
        self._slot.put(linear_layer(weight, bias))
        try:
            label(self.config, classes)
            self.save_network(folder)
        finally:
            self._slot.put(nn.Identity())

    def save_network(self, folder: Path) -> None:
        """The network and its picture processor, without a head."""
        network: Any = self.network
        network.save_pretrained(folder)
        self.pixels.write(folder)


def label(config: Any, classes: Sequence[str]) -> None:
    """Write class names into a transformers config."""
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: i for i, name in enumerate(classes)}
    config.num_labels = len(classes)
    config.problem_type = "single_label_classification"
