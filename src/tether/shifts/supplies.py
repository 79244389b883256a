"""Supplies: what a shift that must be built first may be built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.data import Examples


@dataclass(frozen=True)
class Supplies:
    """The user's data and the initial model, as far as a shift may see them.

    Everything dear is a function, called only by a shift that needs it.

    Attributes:
        train: the training set; samples, labels and groups.
        held_out: every validation and test set by name. Only to keep their samples *out* of what a shift
            retrieves; nothing may be fitted to them.
        classes: class names.
        fingerprint: of data and model; the keys of caches.
        embed: batch -> features phi_0 (B, D) of the pretrained model, float32 on the CPU, not normalised.
        teacher: name -> a runner (batch, blocks) -> Output without gradient bookkeeping of its own, in eval
            mode, frozen: gradients flow to its input. "initial" is M_0 with its head for the classes; a path
            is a run or a saved model with these classes.
        device: where models run.
        seed: of the run.
        groups: names of the codes in `Batch.group`; () where the data have none.
        model_fingerprint: of the model alone; caches that data do not change hang on it.
        word_head: loads the masked-word head that a text model was pretrained with (`models.masked_lm`),
            which only the loss that reads it knows; None where there is none to load.
        path_key: path of a teacher -> what tells its weights from others, for the keys of caches.

    Example:
        >>> supplies.embed(supplies.train.batch([0, 1])).shape  # doctest: +SKIP
        torch.Size([2, 384])
    """

    train: Examples
    held_out: Mapping[str, Examples]
    classes: tuple[str, ...]
    fingerprint: str
    embed: Callable[[Batch], Tensor]
    teacher: Callable[[str], Callable[..., Output]]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    groups: tuple[str, ...] = ()
    model_fingerprint: str = ""
    word_head: Callable[[], Any] | None = None
    path_key: Callable[[str], str] = str
