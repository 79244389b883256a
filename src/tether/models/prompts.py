"""Learnable tokens beside a transformer's own (VPT, Jia et al. 2022): hung on its blocks, and kept in a file.

Each block's input gets the prompts behind its first token, the class token, and each block's output loses
them again. So all that lies between and after the blocks (captured outputs, the last norm, pooling) sees the
tokens that it knows.

No library's class holds prompts. A model with them is saved as its network, its head in a file (`head_file`)
and the prompts in `prompts.safetensors`, which `load_backbone` hangs on the network again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tether.errors import RequestError
from tether.models.backbone import Backbone

FILE = "prompts.safetensors"


class Prompts(nn.Module):
    """Prompts on a list of blocks.

    Args:
        values: (blocks, p, D) for deep prompts: each block gets fresh ones, and those of the block before are
            discarded. (1, p, D) for shallow ones, which enter the first block and pass through all.
        blocks: the network's, input to output; each takes tokens (B, T, D) first.
        dropout: on the prompts while they train.

    Example:
        >>> block = nn.TransformerEncoderLayer(8, 2, batch_first=True)
        >>> prompts = Prompts(torch.zeros(1, 4, 8), [block])
        >>> block(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, values: Tensor, blocks: Sequence[nn.Module], dropout: float = 0.0) -> None:
        super().__init__()
        self.values = nn.Parameter(values)
        self.dropout = nn.Dropout(dropout)
        self._deep = len(values) > 1
        self._on = True
        self._carried: Tensor | None = None  # shallow prompts on their way from block to block
        self._handles = []
        for i, block in enumerate(blocks):
            before, after = _Before(self, i), _After(self, i == len(blocks) - 1)
            self._handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
            self._handles.append(block.register_forward_hook(after))

    @contextlib.contextmanager
    def off(self) -> Iterator[None]:
        """The network without its prompts."""
        was, self._on = self._on, False
        try:
            yield
        finally:
            self._on = was

    def remove(self) -> None:
        """Take them off the blocks for good."""
        for handle in self._handles:
            handle.remove()

    def write(self, folder: Path) -> None:
        """Write `prompts.safetensors`: `prompts` (blocks or 1, p, D)."""
        save_file({"prompts": self.values.detach().cpu().contiguous()}, folder / FILE)

    def enter(self, index: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A block's arguments with the prompts in them."""
        if not self._on:
            return None
        key = next(iter(kwargs)) if not args else None
        x: Tensor = args[0] if key is None else kwargs[key]
        if self._deep or index == 0:
            new = self.dropout(self.values[index]).to(x.dtype).expand(len(x), -1, -1)
        else:
            assert self._carried is not None
            new = self._carried
        wider = torch.cat([x[:, :1], new, x[:, 1:]], dim=1)
        tokens, extra = x.shape[1], new.shape[1]
        others = {k: _widened(v, tokens, extra) for k, v in kwargs.items() if k != key}
        if key is not None:
            return (), {key: wider, **others}
        return (wider, *(_widened(a, tokens, extra) for a in args[1:])), others

    def leave(self, output: Any, last: bool) -> Any:
        """A block's output without them."""
        if not self._on:
            return None
        h: Tensor = output[0] if isinstance(output, tuple) else output
        end = 1 + self.values.shape[1]
        self._carried = None if self._deep or last else h[:, 1:end]
        h = torch.cat([h[:, :1], h[:, end:]], dim=1)
        return (h, *output[1:]) if isinstance(output, tuple) else h


class _Before:
    """A hook as an object, so that a copy of the network hangs on the copy of the prompts."""

    def __init__(self, prompts: Prompts, index: int) -> None:
        self._prompts, self._index = prompts, index

    def __call__(self, _block: nn.Module, args: Any, kwargs: Any) -> Any:
        return self._prompts.enter(self._index, args, kwargs)


class _After:
    def __init__(self, prompts: Prompts, last: bool) -> None:
        self._prompts, self._last = prompts, last

    def __call__(self, _block: nn.Module, _args: Any, output: Any) -> Any:
        return self._prompts.leave(output, self._last)


def _widened(value: Any, tokens: int, extra: int) -> Any:
    """An attention mask with places for the prompts, who are seen, and see, as the first token does.

    What counts tokens in its last axis, (B, T) or (..., T) or (..., T, T), gets that axis' first entry so
    many times more: whatever a mask's numbers mean, the class token is one that all may see.
    """
    if not isinstance(value, Tensor) or value.dim() < 2 or value.shape[-1] != tokens:
        return value
    square = value.dim() > 2 and value.shape[-2] == tokens
    for axis in (-1, -2) if square else (-1,):
        first = value.narrow(axis, 0, 1)
        repeated = first.expand([*_with(value.shape, axis, extra)])
        value = torch.cat([first, repeated, value.narrow(axis, 1, tokens - 1)], dim=axis)
    return value


def _with(shape: Sequence[int], axis: int, size: int) -> list[int]:
    found = list(shape)
    found[axis] = size
    return found


def hang(backbone: Backbone, prompts: Prompts) -> None:
    """Make the prompts a part of the backbone: they move, count and are saved with it."""
    backbone.prompts = prompts  # type: ignore[attr-defined]


def prompts_of(backbone: Backbone) -> Prompts | None:
    """The backbone's prompts, if it has any."""
    found: Prompts | None = getattr(backbone, "prompts", None)
    return found


def read_prompts(folder: Path, backbone: Backbone) -> None:
    """Hang the prompts of a saved model's folder on its backbone, if it has any.

    Raises:
        RequestError: prompts of another network.
    """
    if not (folder / FILE).is_file():
        return
    values = load_file(folder / FILE).get("prompts")
    blocks = backbone.blocks()
    if values is None or values.dim() != 3 or len(values) not in (1, len(blocks)):
        raise RequestError(
            f"{folder / FILE}: expected prompts of 1 or {len(blocks)} blocks, got "
            f"{'none' if values is None else tuple(values.shape)}; save the model again"
        )
    hang(backbone, Prompts(values, blocks).eval())
