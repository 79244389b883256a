"""Other forwards in the place of modules' own, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import nn

Forward = Callable[..., Any]


@contextlib.contextmanager
def instead(modules: Sequence[nn.Module], other: Callable[[nn.Module, Forward], Forward]) -> Iterator[None]:
    """Inside, each module computes by `other(module, its own forward)`; afterwards by its own again.

    Hooks are not touched: they act on what the other forward gives.

    Example:
        >>> with instead([block], lambda module, own: own):  # doctest: +SKIP
        ...     block(x)
    """
    # A module that others gave a forward of its own (an adapter's) gets that one back, not the class's.
    before = [vars(m).get("forward") for m in modules]
    for module in modules:
        module.forward = other(module, module.forward)
    try:
        yield
    finally:
        for module, forward in zip(modules, before, strict=True):
            if forward is None:
                del module.forward
            else:
                module.forward = forward
