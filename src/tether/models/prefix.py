"""Run the first blocks of a network once, or not at all, and only what comes after them again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from tether.batch import Batch
from tether.models.backbone import Backbone
from tether.models.instead import Forward, instead


@contextlib.contextmanager
def once(backbone: Backbone, count: int, keep: Sequence[int] = (), given: Any = None) -> Iterator[None]:
    """Inside, the first `encode` runs whole, and every later one starts after block `count`.

    All passes inside must be of the same batch. Later ones do not run the first `count` blocks: these hand on
    what block `count - 1` gave in the first pass, its gradient included. Stems (patch or token embeddings) do
    run again. So n passes cost 1 + (n - 1) of what lies above the prefix and the stem. Where the same passes
    are made within another `once` of fewer blocks, both hold.

    Args:
        backbone: any; only its `blocks()` are touched, and given back as they were.
        count: k, blocks of the prefix; 0 repeats everything.
        keep: blocks of the prefix whose own outputs later passes must show as hidden states.
        given: what block `count - 1` gives for this batch, known from before; then no pass runs the prefix.

    A network that carries something past its blocks (a skip connection from block 2 to block 9) cannot be cut
    like this; `cuts` says whether one can.

    Example:
        >>> with torch.no_grad(), once(backbone, 10):  # doctest: +SKIP
        ...     passes = [backbone.encode(batch).features for _ in range(5)]
    """
    if count == 0:
        yield
        return
    blocks = list(backbone.blocks()[:count])
    last = count - 1
    kept: dict[int, Any] = {} if given is None else {last: given}

    def given_on(_block: nn.Module, own: Forward) -> Forward:
        return lambda *args, **kwargs: kept[last] if last in kept else own(*args, **kwargs)

    def hook(index: int) -> Callable[..., Any]:
        # A hook, not the call's own value: what other hooks did to the output (dropout) is kept with it.
        def remember(_module: nn.Module, _args: Any, output: Any) -> Any:
            return kept.setdefault(index, output)

        return remember

    handles = [blocks[i].register_forward_hook(hook(i)) for i in sorted({last, *keep})]
    try:
        with instead(blocks, given_on):
            yield
    finally:
        for handle in handles:
            handle.remove()


def cuts(backbone: Backbone, row: Batch, count: int) -> bool:
    """Whether passes that start after block `count` give what whole ones give, to rounding.

    Args:
        row: a batch to try it on; one sample is enough.
    """
    with torch.no_grad():
        whole = backbone.encode(row).features
        with once(backbone, count):
            backbone.encode(row)
            again = backbone.encode(row).features
    return torch.allclose(whole, again, rtol=1e-3, atol=1e-5)


def gives_tuple(backbone: Backbone, row: Batch, block: int) -> bool:
    """Whether a block gives its output as the first of a tuple, as some libraries' layers do."""
    found: list[bool] = []

    def look(_module: nn.Module, _args: Any, output: Any) -> None:
        found.append(isinstance(output, tuple))

    handle = backbone.blocks()[block].register_forward_hook(look)
    try:
        backbone.encode(row)
    finally:
        handle.remove()
    return found[0]
