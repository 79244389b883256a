"""The last blocks, counted, with the head or without."""

from __future__ import annotations

from tether.errors import RequestError
from tether.models.model import Model
from tether.tune.tuning import Groups, Tuning, freeze, release_heads


def top_blocks(count: int = 1, head: bool = True) -> Tuning:
    """Train the last blocks; what comes before them, and after the last, stays as it was.

    Args:
        count: of blocks, at least 1.
        head: whether the head trains too (METHODS 1.1, head_mode).

    Raises:
        RequestError: fewer than 1; when applied, more than the network has.

    Example:
        >>> top_blocks(2).name
        'last blocks'
    """
    if count < 1:
        raise RequestError(f"blocks: expected at least 1, got {count}; 1 trains the last one")

    def apply(model: Model) -> Groups:
        freeze(model)
        blocks = list(model.backbone.blocks())
        if count > len(blocks):
            raise RequestError(f"blocks: expected at most {len(blocks)}, as the network has, got {count}")
        trained = [p for block in blocks[-count:] for p in block.parameters()]
        for parameter in trained:
            parameter.requires_grad_(True)
        groups = {"backbone": trained}
        return {**groups, "head": release_heads(model)} if head else groups

    return Tuning("last blocks", apply, shares_base=False, keeps_embeddings=True)
