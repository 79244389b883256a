"""What trains: a tuning marks parameters and returns them by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from tether.models.backbone import Backbone, Rate
from tether.models.model import Model

Groups = Mapping[str, list[nn.Parameter]]


def _anything(_backbone: Backbone) -> None:
    """What most tunings can tune."""


@dataclass(frozen=True)
class Tuning:
    """A named function from a model to its trained parameters.

    Attributes:
        name: shown in tables and the resolved config.
        apply: sets `requires_grad`, may add parts, returns group name -> parameters. The group names
            ("backbone", "adapter", "head") choose the default learning rates (see `Backbone.rates`).
        shares_base: True when the base weights stay as they were, so that the initial model is this one
            with the added parts switched off, and needs no copy.
        keeps_embeddings: True when the token embeddings stay as they were, whatever else trains, so that
            student and initial model read each other's. What shares its base does.
        curved: why the line between its parameters' start and end is no line between the weights of M_0 and
            the student, so that no finish may interpolate them; None where it is one.
        rates: of groups whose rate belongs to the tuning; the others have the backbone's.
        fits: refuses a backbone that it cannot tune, before a run begins.
    """

    name: str
    apply: Callable[[Model], Groups]
    shares_base: bool
    keeps_embeddings: bool = False
    curved: str | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)
    fits: Callable[[Backbone], None] = _anything


def freeze(model: Model) -> None:
    """No parameter of the model trains."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def _released(module: nn.Module) -> list[nn.Parameter]:
    parameters = list(module.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    return parameters


def nothing() -> Tuning:
    """Train nothing: the model stays as it starts (probe or zero-shot head)."""

    def apply(model: Model) -> Groups:
        freeze(model)
        return {}

    return Tuning("nothing", apply, shares_base=True)


def heads() -> Tuning:
    """Train the heads on frozen features."""

    def apply(model: Model) -> Groups:
        freeze(model)
        return {"head": _released(model.heads)}

    return Tuning("heads", apply, shares_base=True)


def full(head: bool = True) -> Tuning:
    """Train everything; batch-norm statistics stay frozen (METHODS 1.10).

    Args:
        head: whether the head trains too (METHODS 1.1, head_mode).
    """

    def apply(model: Model) -> Groups:
        freeze(model)
        groups = {"backbone": _released(model.backbone.network)}
        return {**groups, "head": _released(model.heads)} if head else groups

    return Tuning("full", apply, shares_base=False)


def release_heads(model: Model) -> list[nn.Parameter]:
    """Make the heads trainable and return their parameters; for tunings that add parts below them."""
    return _released(model.heads)
