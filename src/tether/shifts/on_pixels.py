"""The frame of every image shift: checked pixels in, pixels of the same kind out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts.draws import Draws

_SMALLEST = 8  # px; below it the widest blur of the 32 px table no longer fits its reflected border


def on_pixels(change: Callable[[Tensor, int, Tensor, Draws], Tensor]) -> Callable[[Batch, int, Draws], Batch]:
    """Lift a function (x, severity, ids, draws) -> x to batches.

    `change` sees float32 (B, 3, H, W) in [0, 1] and ids (B,) on the same device. What it returns is
    clipped to [0, 1] and given back in the batch's own dtype. A view is data, so no gradient flows.

    Example:
        >>> dim = on_pixels(lambda x, severity, ids, draws: x * (1 - severity / 10))
    """

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        x = _checked(batch.x)
        with torch.no_grad():
            out = change(x.detach().float(), severity, batch.ids.to(x.device), draws)
            return replace(batch, x=_clipped(out, x).to(x.dtype))

    return apply


def _clipped(out: Tensor, x: Tensor) -> Tensor:
    """Clip to [0, 1], in place where the clean pixels are not touched by it: a cheap shift feels a copy."""
    own = out.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()
    return out.clamp_(0.0, 1.0) if own and out.is_contiguous() else out.clamp(0.0, 1.0)


def _checked(x: Tensor | tuple[str, ...]) -> Tensor:
    """Refuse what would go wrong silently: clipping normalised pixels yields an image, but another one."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 4 or x.shape[1] != 3:
        got = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else "strings"
        raise RequestError(
            f"expected float pixels of shape (B, 3, H, W), got {got}; convert them to RGB floats"
        )
    if min(x.shape[2:]) < _SMALLEST:
        raise RequestError(
            f"expected images of at least {_SMALLEST} px a side, got {tuple(x.shape[2:])}; resize them"
        )
    low, high = (v.item() for v in x.aminmax())
    if not (low >= 0.0 and high <= 1.0):  # also false for NaN
        raise RequestError(
            f"expected pixels in [0, 1], got {low:.3g} to {high:.3g}; shift before normalising, "
            "and divide bytes by 255"
        )
    return x
