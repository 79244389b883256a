"""The text tower of a two-tower model as something that trains, and as a head over a task's classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.models.backbone import Backbone
from tether.models.zero_shot import ZeroShotHead, class_embeddings

Encode = Callable[[list[str]], Tensor]


@runtime_checkable
class HasTextTower(Protocol):
    """An image backbone whose pretrained model also reads texts.

    Attributes:
        templates: prompts, {} stands for the class name.
    """

    templates: tuple[str, ...]

    def text_tower(self) -> TextTower:
        """The tower, sharing its weights with the model that `save` writes."""
        ...


class TextTower(nn.Module):
    """All of a two-tower model but its image tower, in eval mode whatever the mode (METHODS 1.10).

    Args:
        whole: the library's module, with `logit_scale`.
        image_parts: names of its children that belong to the image tower.
        encode: texts to features (N, D) that are not normalised, with a gradient.
    """

    logit_scale: Tensor

    def __init__(self, whole: Any, image_parts: Sequence[str], encode: Encode) -> None:
        super().__init__()
        for name, child in whole.named_children():
            if name not in image_parts:
                self.add_module(name, child)
        for name, parameter in whole.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in whole.named_buffers(recurse=False):
            self.register_buffer(name, buffer, persistent=False)
        self._whole = (whole,)  # in a tuple: no second owner of the image tower
        self._encode = encode
        self.eval()

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Features (N, D), not normalised."""
        for name, buffer in self.named_buffers(recurse=False):  # a move between devices replaced them
            self._whole[0]._buffers[name] = buffer
        return self._encode(list(texts))

    def train(self, mode: bool = True) -> TextTower:
        """Stay in eval mode: no dropout in a pretrained tower."""
        super().train(False)
        return self


class TextHead(nn.Module):
    """Class logits by a text tower that trains: exp(logit_scale) * norm(phi) . t_c, t_c as the tower is now.

    The zero-shot head of METHODS 1.2, made anew at each forward. Without a gradient t_c is kept until a
    weight changes. Saved as the `ZeroShotHead` that `folded` gives.

    Args:
        tower: shared with the model.
        classes: their names.
        templates: prompts; t_c is the normalised mean over them.
    """

    def __init__(self, tower: TextTower, classes: Sequence[str], templates: Sequence[str]) -> None:
        super().__init__()
        self.tower = tower
        self._classes, self._templates = tuple(classes), tuple(templates)
        self._kept: tuple[tuple[int, ...], Tensor] | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, C) of features (B, D)."""
        t = self.class_weights()
        with torch.autocast(features.device.type, enabled=False):
            phi = nn.functional.normalize(features.float(), dim=-1)
            return self.tower.logit_scale.exp() * phi @ t.float().T

    def class_weights(self) -> Tensor:
        """t_c, normalised, (C, D)."""
        if torch.is_grad_enabled() and any(p.requires_grad for p in self.tower.parameters()):
            return class_embeddings(self.tower, self._classes, self._templates, gradient=True)
        now = tuple(n for p in self.tower.parameters() for n in (p._version, p.data_ptr()))
        if self._kept is None or self._kept[0] != now:
            self._kept = now, class_embeddings(self.tower, self._classes, self._templates)
        return self._kept[1]

    def folded(self) -> ZeroShotHead:
        """The same head with its class weights written down."""
        with torch.no_grad():
            weights = self.class_weights()
        return ZeroShotHead(weights, float(self.tower.logit_scale.detach()))


def need_text_tower(who: str, backbone: Backbone) -> HasTextTower:
    """The backbone as one with a text tower.

    Args:
        who: what needs it, for the message.
        backbone: of the student.

    Raises:
        RequestError: it has none.
    """
    if not isinstance(backbone, HasTextTower):
        raise RequestError(
            f"method: {who} needs a model with an image tower and a text tower, such as CLIP, SigLIP or "
            f"emoji-two-tower, got {type(backbone.network).__name__}, which has no text tower; choose such a "
            "model, or another method"
        )
    return backbone
