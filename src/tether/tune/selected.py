"""Which of the layers that LoRA can adapt it shall adapt (METHODS 1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import nn

from tether.errors import RequestError, nearest

Layers = Literal["all", "qv", "upper"] | Sequence[str]
# What libraries call the projections to queries and values, and layers that hold queries, keys and values.
QUERY_OR_VALUE = {"query", "value", "q_proj", "v_proj", "query_proj", "value_proj", "q_lin", "v_lin", "to_q",
                  "to_v", "q", "v"}  # fmt: skip
FUSED = {"qkv", "qkv_proj", "in_proj", "Wqkv", "c_attn", "query_key_value"}


def selected(
    network: nn.Module, names: Sequence[str], wanted: Layers, blocks: Sequence[nn.Module] = ()
) -> list[str]:
    """Those of the adaptable layers that are wanted.

    Args:
        network: the library's module.
        names: of its adaptable layers, in order.
        wanted: "all"; "qv", the projections to queries and values, where a fused one counts whole; "upper",
            those of the upper half of the blocks, below which nothing trains and clean samples run once; or
            ends of module names, such as ["fc1", "attention.query"].
        blocks: of the network, for "upper".

    Raises:
        RequestError: "qv" of a network without attention, or a name that fits no adaptable layer.
    """
    if wanted == "all":
        return list(names)
    if wanted == "qv":
        found = [n for n in names if _is_qv(network, n)]
        if names and not found:
            raise RequestError(
                f"targets: {type(network).__name__} has no projection to queries or values (it may be a "
                "convolutional network); use all, or names"
            )
        return found
    if wanted == "upper":
        upper = {id(m) for block in blocks[len(blocks) // 2 :] for m in block.modules()}
        return [n for n in names if id(network.get_submodule(n)) in upper]
    chosen: set[str] = set()
    for end in wanted:
        fitting = {n for n in names if n == end or n.endswith(f".{end}")}
        if not fitting:
            ends = sorted({n.rsplit(".", 1)[-1] for n in names})
            raise RequestError(
                f"targets: no layer that LoRA can adapt is called {end!r}; {nearest(end, ends)}"
            )
        chosen |= fitting
    return [n for n in names if n in chosen]


def _is_qv(network: nn.Module, name: str) -> bool:
    leaf = name.rsplit(".", 1)[-1]
    fused = isinstance(network.get_submodule(name), nn.MultiheadAttention)
    return fused or leaf in QUERY_OR_VALUE or leaf in FUSED
