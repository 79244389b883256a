"""From another label set to the task's: the `map` of METHODS 1.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tether.errors import RequestError, nearest

DOUBT = 0.5  # residual mass above which a sample counts less (METHODS 1.2)


class MapHead(nn.Module):
    """logit(c) = log of the sum of p(k) over the source classes k in g(c).

    The logits are logarithms of probabilities that need not sum to 1: their softmax is the renormalised
    p_0(c), and what is missing to 1 is the residual mass (`residual_mass`).

    Args:
        weight: of the source head, (K, D).
        bias: (K,).
        member: (C, K) bool, whether source class k belongs to class c.
    """

    member: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, member: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.register_buffer("member", member.clone())

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, C) of features (B, D)."""
        scores = torch.log_softmax(
            nn.functional.linear(features, self.weight, self.bias).float(), -1
        )  # (B, K)
        inside = scores.unsqueeze(1).masked_fill(~self.member, -torch.inf)  # (B, C, K)
        return torch.logsumexp(inside, -1)

    def trust(self, logits: Tensor) -> Tensor:
        """How far each sample's logits (B, C) may be learnt from, (B,)."""
        return trust(residual_mass(logits))


def map_head(
    weight: Tensor,
    bias: Tensor,
    source: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    classes: Sequence[str],
) -> MapHead:
    """A head over `classes` made of a head over `source`.

    Args:
        weight: of the source head, (K, D).
        bias: (K,).
        source: the K source class names.
        groups: g, class name -> names of source classes.
        classes: the task's, in the order of the labels.

    Raises:
        RequestError: a class without source classes (which forbids this head, METHODS 1.2), an unknown
            source class, or one that two classes claim.

    Example:
        >>> head = map_head(torch.eye(3), torch.zeros(3), ["cat", "dog", "car"],
        ...                 {"animal": ["cat", "dog"], "vehicle": ["car"]}, ["animal", "vehicle"])
        >>> head(torch.zeros(1, 3)).softmax(-1).tolist()[0][1]  # one of three
        0.3333333432674408
    """
    index = {name: k for k, name in enumerate(source)}
    member = torch.zeros(len(classes), len(source), dtype=torch.bool)
    for c, name in enumerate(classes):
        if not groups.get(name):
            raise RequestError(
                f"model.map: expected source classes for every class, {name!r} has none; name some, or use "
                "model.head=probe"
            )
        for k in groups[name]:
            if k not in index:
                raise RequestError(
                    f"model.map: the model has no class {k!r} (for {name!r}); {nearest(k, index)}"
                )
            member[c, index[k]] = True
    twice = [source[k] for k in (member.sum(0) > 1).nonzero().flatten().tolist()]
    if twice:
        raise RequestError(f"model.map: expected each source class in one class, {twice} are in two or more")
    return MapHead(weight, bias, member)


def residual_mass(logits: Tensor) -> Tensor:
    """The mass outside all classes, u = 1 - sum_c p_0(c) of a MapHead's logits (B, C), in [0, 1], (B,)."""
    return (-torch.expm1(torch.logsumexp(logits, -1))).clamp(0.0, 1.0)


def trust(u: Tensor) -> Tensor:
    """A sample's weight: 1 - u where u > 0.5, else 1 (METHODS 1.2)."""
    return torch.where(u > DOUBT, 1.0 - u, torch.ones_like(u))
