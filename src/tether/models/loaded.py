"""What loading a model gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from tether.models.backbone import Backbone
from tether.models.extras import Extras

USUAL_SIDE = 224
MakeHead = Callable[[Sequence[str]], nn.Module]  # class names -> a head that needs no data


@dataclass(frozen=True)
class Loaded:
    """A backbone, the classification head it came with, if any, and what it was made from.

    Attributes:
        backbone: ready to run, in eval mode.
        head: the folder's own head when its classes are a task's, else None.
        classes: that head's class names.
        fingerprint: hash of the weights and of how they are read; caches of teachers hang on it.
        source: what peft writes as the base model of an adapter.
        make_head: makes the task's head from its class names, where the model can: zero-shot, map.
        by_name: makes a zero-shot head from class names, where the model can but the probe is the better
            start (a sentence encoder); only who asks for zero-shot gets it.
        bias: whether the library's own classification class has a bias; a head that is to be saved in it
            must then have none.
        extras: further heads and dropout that were saved with it.
        rule: what `predict.json` says of how it predicts; None for the softmax of its one head.
    """

    backbone: Backbone
    head: nn.Module | None
    classes: tuple[str, ...] | None
    fingerprint: str
    source: str
    make_head: MakeHead | None = None
    by_name: MakeHead | None = None
    bias: bool = True
    extras: Extras | None = None
    rule: Mapping[str, Any] | None = None


def picture_side(backbone: Backbone) -> int:
    """The side in pixels that the model was made for; texts do not care."""
    # Not part of the Backbone protocol, which knows no modality; an adapter for pictures has its `pixels`.
    pixels = getattr(backbone, "pixels", None)
    return USUAL_SIDE if pixels is None else int(pixels.side)
