"""Tunings that a text tower takes part in: both towers trained, or context prompts kept beside a student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from tether.errors import RequestError
from tether.models.backbone import Backbone
from tether.models.model import MAIN, Model
from tether.models.text_tower import TextHead, need_text_tower
from tether.models.zero_shot import ZeroShotHead
from tether.tune.tuning import Groups, Tuning, freeze

CONTEXT = "context"


def towers(templates: Sequence[str] | None = None) -> Tuning:
    """Image tower, text tower and logit scale; the head is the text tower's own classes (METHODS 6, flyp).

    Args:
        templates: prompts with {} for the class name; None takes the model's.

    Raises:
        RequestError: a backbone without a text tower.
    """

    def fits(backbone: Backbone) -> None:
        need_text_tower("training both towers", backbone)

    def apply(model: Model) -> Groups:
        backbone = need_text_tower("training both towers", model.backbone)
        freeze(model)
        head = TextHead(backbone.text_tower(), model.classes, templates or backbone.templates)
        model.heads[MAIN] = head
        trained = list(dict.fromkeys([*model.backbone.network.parameters(), *_used(head)]))
        for parameter in trained:
            parameter.requires_grad_(True)
        return {"backbone": trained}

    return Tuning("towers", apply, shares_base=False, fits=fits)


def _used(head: TextHead) -> list[nn.Parameter]:
    """The tower's parameters that the head's logits depend on: not SigLIP's bias, nor an unread part."""
    parameters = list(head.tower.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad():
        reached = torch.autograd.grad(
            head.class_weights().sum() * head.tower.logit_scale, parameters, allow_unused=True
        )
    for parameter in parameters:
        parameter.requires_grad_(False)
    return [p for p, g in zip(parameters, reached, strict=True) if g is not None]


def with_contexts(tuning: Tuning, contexts: Sequence[str]) -> Tuning:
    """A tuning whose model also says which context a picture fits: the head "context" (METHODS 6, car_ft).

    The head is frozen, made from prompts without a class by the pretrained text tower at the start.

    Args:
        tuning: what trains.
        contexts: such as "a sketch of a"; at least two, as a softmax over one is constant.

    Raises:
        RequestError: fewer than two contexts; a backbone without a text tower.
    """
    if len(contexts) < 2:
        raise RequestError(
            f"contexts: expected at least two prompts without a class, got {list(contexts)}; such as "
            "'a photo of a' and 'a sketch of a'"
        )

    def fits(backbone: Backbone) -> None:
        need_text_tower("a head of contexts", backbone)
        tuning.fits(backbone)

    def apply(model: Model) -> Groups:
        tower = need_text_tower("a head of contexts", model.backbone).text_tower()
        with torch.no_grad():
            head = ZeroShotHead(tower(contexts), float(tower.logit_scale.detach()))
        groups = tuning.apply(model)
        for parameter in head.parameters():
            parameter.requires_grad_(False)
        model.unsaved.add(CONTEXT)
        model.heads[CONTEXT] = head.to(next(model.parameters()).device)
        return groups

    return replace(tuning, name=f"{tuning.name}, contexts", apply=apply, fits=fits)
