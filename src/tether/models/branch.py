"""A head with the top of the network for itself: copies of the last block, final norm and projection."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor, nn

from tether.batch import Batch
from tether.models.backbone import Backbone, Encoded
from tether.models.prefix import once


class Branch(nn.Module):
    """A head section M_h of its own on the shared M_s (document 003, eq. 1).

    It holds copies of the network's parameters above a block, and a head. Its features are what the network
    gives when it goes on from that block with these parameters in the place of its own (`encode`).

    Args:
        head: features (B, D) to logits (B, C).
        above: blocks of the network that are shared; what lies above is this branch's own.
        section: network parameter name -> its own value.

    Example:
        >>> model.heads["unclean"] = Branch(head, 11, {...})  # doctest: +SKIP
    """

    def __init__(self, head: nn.Module, above: int, section: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.head = head
        self.above = above
        # A parameter's name may hold no dot.
        self.section = nn.ParameterDict(
            {n.replace(".", "/"): nn.Parameter(t.detach().clone()) for n, t in section.items()}
        )

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, C) of this branch's own features (B, D)."""
        logits: Tensor = self.head(features)
        return logits

    def over(self, head: nn.Module) -> Branch:
        """The same section under another head: other classes' prompts, say."""
        return Branch(
            copy.deepcopy(head), self.above, {n.replace("/", "."): p for n, p in self.section.items()}
        )

    @contextlib.contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """Inside, the network computes with this branch's parameters."""
        swapped = []
        try:
            for key, own in self.section.items():
                owner, _, name = key.replace("/", ".").rpartition(".")
                module = network.get_submodule(owner)
                swapped.append((module, name, module._parameters[name]))
                module._parameters[name] = own
            yield
        finally:
            for module, name, theirs in swapped:
                module._parameters[name] = theirs


def encode(backbone: Backbone, batch: Batch, heads: nn.ModuleDict, hidden: Sequence[int] = ()) -> Encoded:
    """Features of a batch, and each branch's own in `Encoded.own`; what they share runs once."""
    branches = {n: h for n, h in heads.items() if isinstance(h, Branch)}
    if not branches:
        return backbone.encode(batch, hidden)
    batch = backbone.embed(batch)
    own: dict[str, Tensor] = {}
    with once(backbone, min(b.above for b in branches.values())):
        encoded = backbone.encode(batch, hidden)
        for name, branch in branches.items():
            with branch.in_place(backbone.network):
                own[name] = backbone.encode(batch).features
    return replace(encoded, own=own)
