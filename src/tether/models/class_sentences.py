"""A zero-shot head for a sentence encoder: each class by the sentences that name it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.models.backbone import Backbone
from tether.models.heads import linear_head
from tether.models.zero_shot import TEMPLATES, class_embeddings

SENTENCES = ("This is {}.", "It was {}.", "The text is {}.")
# What sentence encoders are trained with (the scale of the cosine in their contrastive loss).
SCALE = 20.0


def sentence_head(backbone: Backbone, classes: Sequence[str], templates: Sequence[str]) -> nn.Module:
    """Logits 20 cos(phi, t_c) as a linear layer, t_c the normalised mean over a class's sentences.

    Mean-pooled features are normalised over the width, so all have the length sqrt(D) and the cosine is a
    product with t_c / sqrt(D) (METHODS 1.2, `zs`, with the encoder as its own text tower).

    Args:
        backbone: an encoder whose features lie in one space for all texts.
        templates: with {} for the class name; those meant for pictures are replaced by `SENTENCES`.
    """
    used = SENTENCES if tuple(templates) == TEMPLATES else templates
    device = next(p for p in _module(backbone).parameters()).device

    def encode(texts: list[str]) -> Tensor:
        none = torch.full((len(texts),), -100)
        batch = Batch(tuple(texts), none, torch.arange(len(texts))).to(device)
        return backbone.encode(batch).features.float()

    t = class_embeddings(encode, classes, used)  # (C, D)
    return linear_head(SCALE * t / backbone.width**0.5, torch.zeros(len(classes), device=t.device))


def _module(backbone: Backbone) -> nn.Module:
    assert isinstance(backbone, nn.Module)
    return backbone
