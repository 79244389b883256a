"""Whether a budget is too large for the initial model itself (METHODS 1.8)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch
from tether.shifts.draws import Draws

ALLOWED = 0.02  # accuracy that M_0 may lose under random signs of that size


def noise_drop(run: Any, clean: Batch, eps: float) -> tuple[float, float]:
    """M_0's accuracy on clean pictures, and on the same with a random sign times eps added to each value.

    Args:
        run: (batch, blocks) -> Output, such as the initial teacher.
        clean: labelled pictures in [0, 1].
        eps: in [0, 1] pixel units.
    """
    assert isinstance(clean.x, Tensor)
    x = clean.x.float()
    signs = Draws(0).integers(clean.ids.to(x.device), 0, 2, tuple(x.shape[1:]), "sanity") * 2.0 - 1.0
    noisy = Batch((x + eps * signs).clamp(0.0, 1.0), clean.y, clean.ids)
    with torch.no_grad():
        before, after = (
            float((run(b, ()).logits["main"].argmax(-1) == clean.y.to(x.device)).float().mean())
            for b in (Batch(x, clean.y, clean.ids), noisy)
        )
    return before, after


def noise_warning(name: str, run: Any, clean: Batch, eps: float) -> str | None:
    """A warning when that noise alone costs M_0 more than 2 points, else None.

    Where it does, M_0 is broken there, and a loss that follows M_0 teaches the breakage.
    """
    before, after = noise_drop(run, clean, eps)
    if before - after <= ALLOWED:
        return None
    return (
        f"note: {name}: random noise of its eps ({eps * 255:.3g}/255) alone lowers the initial model's "
        f"accuracy from {before:.3f} to {after:.3f} on {len(clean)} validation samples; lower eps or the "
        "severities"
    )
