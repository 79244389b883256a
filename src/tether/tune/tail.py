"""The upper part of a network: as many blocks as a fraction of the parameters allows (document 003)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Literal

from tether.errors import RequestError
from tether.models.branch import Branch
from tether.models.depth import depths, sizes
from tether.models.discover import is_convolutional
from tether.models.dropout import install
from tether.models.model import MAIN, Model
from tether.models.zero_shot import ZeroShotHead
from tether.progress import say
from tether.tune.tuning import Groups, Tuning, freeze

Section = Literal["auto", "block", "top", "classifier"]


def tail(
    fraction: float = 0.1, dropout: float = 0.0, copies: Sequence[str] = (), section: Section = "auto"
) -> Tuning:
    """Train what lies above block k_split: the smallest k_split whose part is within the fraction.

    METHODS 4.1: f = (parameters of M_s + one head section) / total, M_s from block k_split + 1 to the head
    section. Where not even what lies above the last block is within f, the least that can train does, and a
    line says so. The class weights of a zero-shot head stay as the text tower gave them (METHODS 4.5).

    Args:
        fraction: f in (0, 1].
        dropout: p in the trained part and at the heads; the frozen part has none.
        copies: names of further heads, copies of the main head's section.
        section: what a head section is. "block": last block, final norm, projection and classifier; "top":
            the same without the last block; "classifier": that alone. "auto": "block" for a transformer
            when f leaves a block for M_s beside it, else "classifier", or "top" under a zero-shot head.

    Raises:
        RequestError: a fraction or p out of range; when it runs, three heads of a zero-shot model that
            could not differ.
    """
    if not 0.0 < fraction <= 1.0:
        raise RequestError(f"method.fraction: expected more than 0 and at most 1, got {fraction}; try 0.1")
    if not 0.0 <= dropout < 1.0:
        raise RequestError(f"method.dropout: expected at least 0 and less than 1, got {dropout}; try 0.1")

    def apply(model: Model) -> Groups:
        freeze(model)
        of = depths(model.backbone)
        split = k_split(model, of, fraction)
        above = n_split(model, of, split, section) if copies else None
        if above is not None:
            split = min(split, above)  # a section that was asked for trains, within the fraction or not
        named = dict(model.backbone.network.named_parameters())
        trained = [n for n, depth in of.items() if depth >= split]
        head = model.heads[MAIN]
        if above is not None:
            own = {n: named[n] for n in trained if of[n] >= above}
            for name in copies:
                model.heads[name] = Branch(copy.deepcopy(head), above, own)
        else:
            for name in copies:
                model.heads[name] = copy.deepcopy(head)
        model.heads.to(next(head.parameters()).device)
        body = [named[n] for n in trained]
        body += [p for h in model.heads.values() if isinstance(h, Branch) for p in h.section.parameters()]
        plain = [h.head if isinstance(h, Branch) else h for h in model.heads.values()]
        groups = {
            "backbone": body,
            "head": [p for h in plain if not isinstance(h, ZeroShotHead) for p in h.parameters()],
        }
        if dropout > 0:
            model.dropout = install(model.backbone, model.heads, dropout, split)
        for parameter in (p for group in groups.values() for p in group):
            parameter.requires_grad_(True)
        return {name: group for name, group in groups.items() if group}

    return Tuning("tail", apply, shares_base=False)


def k_split(model: Model, of: Mapping[str, int], fraction: float) -> int:
    """How many blocks stay frozen: the fewest for which M_s and one head section are within the fraction.

    Args:
        of: each network parameter's depth.
    """
    count = len(model.backbone.blocks())
    head = sum(p.numel() for p in model.heads[MAIN].parameters())
    total = sizes(model.backbone, of, 0) + head
    shares = [(sizes(model.backbone, of, k) + head) / total for k in range(count + 1)]
    possible = [k for k in range(count + 1) if sizes(model.backbone, of, k) > 0]
    within = [k for k in possible if shares[k] <= fraction]
    if within:
        return within[0]
    least = possible[-1]
    say(
        f"note: the least of this model that can train beside its head is {shares[least]:.0%} of its "
        f"parameters, more than the fraction of {fraction:.0%}; it trains"
    )
    return least


def n_split(model: Model, of: Mapping[str, int], split: int, section: Section) -> int | None:
    """Blocks below the head section; None when the section is the classifier alone.

    Raises:
        RequestError: heads of a zero-shot model that would all be the same.
    """
    count = len(model.backbone.blocks())
    zero_shot = isinstance(model.heads[MAIN], ZeroShotHead)
    if section == "auto":
        deep = split < count - 1 and not is_convolutional(model.backbone.blocks())
        section = "block" if deep else "top" if zero_shot else "classifier"
        if section == "top" and sizes(model.backbone, of, count) == 0:
            section = "block"
    above = {"block": count - 1, "top": count, "classifier": None}[section]
    if zero_shot and (above is None or sizes(model.backbone, of, above) == 0):
        raise RequestError(
            "method.section: the class weights of a zero-shot head do not train, so heads that differ need "
            "copies of the image tower's last block or projection; use section=block"
        )
    return above
