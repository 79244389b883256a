"""The upper blocks as far as a share of the parameters allows, with the head: METHODS 4.1's tunable part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tether.errors import RequestError
from tether.models.backbone import HasBlank
from tether.models.model import Model
from tether.progress import say
from tether.tune.tuning import Groups, Tuning, freeze, release_heads


def last_blocks(fraction: float = 0.1) -> Tuning:
    """Train the head and the most upper blocks that, with all after them, stay within f of the parameters.

    f = (blocks + what follows them + heads) / all, and the split is the lowest that keeps it (METHODS 4.1).
    Where not even the last block fits, the head alone trains, and a note says so.

    Args:
        fraction: f in [0, 1]; 1 trains every block, but not what comes before the first.

    Raises:
        RequestError: a fraction outside [0, 1].
    """
    if not 0.0 <= fraction <= 1.0:
        raise RequestError(f"fraction: expected a share of the parameters in [0, 1], got {fraction}; try 0.1")

    def apply(model: Model) -> Groups:
        freeze(model)
        head = release_heads(model)
        upper = upper_part(model, fraction)
        for parameter in upper:
            parameter.requires_grad_(True)
        return {"backbone": upper, "head": head} if upper else {"head": head}

    return Tuning("last blocks", apply, shares_base=False)


def upper_part(model: Model, fraction: float) -> list[nn.Parameter]:
    """Parameters of the blocks that fit, and of what runs after the last block; empty when none fits."""
    blocks = model.backbone.blocks()
    after = following(model)
    total = sum(p.numel() for p in model.parameters())
    spent = sum(p.numel() for p in model.heads.parameters()) + sum(p.numel() for p in after)
    chosen: list[nn.Parameter] = []
    seen: set[int] = {id(p) for p in after}
    for block in reversed(list(blocks)):
        own = [p for p in block.parameters() if id(p) not in seen]
        spent += sum(p.numel() for p in own)
        if spent > fraction * total:
            break
        seen |= {id(p) for p in own}
        chosen = own + chosen
    if not chosen:
        say(f"note: no block of the model fits into {fraction:g} of its parameters; the head alone trains")
        return []
    return chosen + after


def following(model: Model) -> list[nn.Parameter]:
    """Parameters of the modules that run after the last block: a final norm, a projection.

    Seen in a forward pass; a backbone without a blank input has none, as far as is known.
    """
    backbone = model.backbone
    if not isinstance(backbone, HasBlank):
        return []
    order: list[nn.Module] = []
    blocks = list(backbone.blocks())
    inside = {id(m) for block in blocks for m in block.modules()}
    handles = [
        m.register_forward_hook(lambda module, _inputs, _output: order.append(module))
        for m in backbone.network.modules()
        if id(m) not in inside or m is blocks[-1]
    ]
    try:
        with torch.no_grad():
            backbone.encode(backbone.blank())
    finally:
        for handle in handles:
            handle.remove()
    ended = [i for i, m in enumerate(order) if m is blocks[-1]]
    if not ended:
        return []
    before = {id(m) for m in order[: ended[-1]]}
    late = [m for m in order[ended[-1] + 1 :] if id(m) not in before]
    return _own(late)


def _own(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    """Parameters of the modules without children, each once."""
    found: dict[int, nn.Parameter] = {}
    for module in modules:
        if any(True for _ in module.children()):
            continue  # a container finishes after all it holds; its parts are looked at one by one
        found.update({id(p): p for p in module.parameters(recurse=False)})
    return list(found.values())
