"""Models with an image tower and a text tower: CLIP, SigLIP, and their like in the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.models import rates
from tether.models.backbone import Encoded, Rate, blank_picture, capture, depth_fractions, feature_device
from tether.models.discover import find_blocks
from tether.models.head_file import write_head
from tether.models.heads import linear_head
from tether.models.pixels import Pixels
from tether.models.text_tower import TextTower
from tether.models.zero_shot import TEMPLATES, ZeroShotHead, class_embeddings


class ImageTower(nn.Module):
    """The image half: pixels to the projected embedding (B, D).

    Its parts keep the names they have in the whole model, so that an adapter trained here fits there.
    """

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.vision_model: nn.Module = whole.vision_model
        # SigLIP pools with attention and projects nothing.
        self.visual_projection: nn.Module = getattr(whole, "visual_projection", None) or nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Image features (B, D), not normalised."""
        pooled: Tensor = self.visual_projection(self.vision_model(pixel_values=pixel_values).pooler_output)
        return pooled


class TwoTowerImages(nn.Module):
    """The image tower as a backbone; the text tower only makes class embeddings, unless a tuning asks for it.

    Saved as the whole two-tower model with the head in a file beside it (`head_file`).

    Args:
        whole: the transformers module, such as CLIPModel.
        tokenizer: its tokenizer.
        pixels: how it wants its pictures.
        templates: prompts for class names.

    Example:
        >>> spec = ModelConfig(name="openai/clip-vit-base-patch32")
        >>> backbone = load_backbone(spec).backbone  # doctest: +SKIP
        >>> backbone.zero_shot(["cat", "dog"], ["a photo of a {}."]).weight.shape  # doctest: +SKIP
        torch.Size([2, 512])
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(
        self, whole: Any, tokenizer: Any, pixels: Pixels, templates: Sequence[str] = TEMPLATES
    ) -> None:
        super().__init__()
        self.network = ImageTower(whole)
        self.templates = tuple(templates)
        self._whole = (whole,)  # in a tuple: the text tower is no part of what trains, moves or counts
        self.tokenizer = tokenizer
        self.pixels = pixels
        self.family = f"{whole.config.model_type}-{pixels.name}"
        self.rates = rates.TWO_TOWER
        self._blocks = find_blocks(self.network)
        with torch.no_grad():
            self.width = int(self.encode(self.blank()).features.shape[-1])

    def embed(self, batch: Batch) -> Batch:
        """Pixels (B, 3, H, W) in [0, 1] to normalised pixels of the tower's size."""
        return self.pixels.embed(batch, self.family, feature_device(self.network))

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Image features (B, D), not normalised, and block outputs (B, T, D)."""
        with capture(self._blocks, hidden) as found:
            features = self.network(self.embed(batch).x)
        return Encoded(features, found)

    def blocks(self) -> Sequence[nn.Module]:
        """The image tower's transformer layers."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Layers at depths 1/4, 1/2, 3/4 and 1."""
        return depth_fractions(len(self._blocks))

    def blank(self) -> Batch:
        """One black picture."""
        return blank_picture(self.pixels.side, feature_device(self.network))

    def text_features(self, texts: list[str]) -> Tensor:
        """Text features (N, D), not normalised, on the host."""
        with torch.no_grad():
            return self._encode_texts(texts).cpu()

    def text_tower(self) -> TextTower:
        """The text half, as what trains."""
        return TextTower(self._whole[0], ("vision_model", "visual_projection"), self._encode_texts)

    def _encode_texts(self, texts: list[str]) -> Tensor:
        whole = self._whole[0]
        config = getattr(whole.config, "text_config", whole.config)
        longest = min(
            int(getattr(config, "max_position_embeddings", 77)), int(self.tokenizer.model_max_length)
        )
        # SigLIP was trained on texts padded to its full length and reads its last position.
        padding = "max_length" if "siglip" in whole.config.model_type else True
        coded = self.tokenizer(
            texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt"
        ).to(feature_device(whole.text_model))
        found = whole.get_text_features(**coded)
        features: Tensor = found if isinstance(found, Tensor) else found.pooler_output
        return features

    def zero_shot(self, classes: Sequence[str], templates: Sequence[str]) -> ZeroShotHead:
        """The head from class names (METHODS 1.2, `zs`)."""
        whole = self._whole[0]
        bias = getattr(whole, "logit_bias", None)
        return ZeroShotHead(
            class_embeddings(self.text_features, classes, templates),
            float(whole.logit_scale.detach()),
            0.0 if bias is None else float(bias.detach()),
        )

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """The whole two-tower model, with the linear head on image features in `head.safetensors`."""
        self.save_network(folder)
        write_head(folder, linear_head(weight, bias), classes)

    def save_network(self, folder: Path) -> None:
        """The whole two-tower model with its tokenizer and picture processor, without a head."""
        self._whole[0].save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.pixels.write(folder)
