"""mixup and CutMix as plain functions for a loop of one's own: pictures in, pictures and soft targets out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tether.errors import RequestError
from tether.shifts.beta import beta
from tether.shifts.draws import Draws
from tether.shifts.image.boxes import box

Random = Draws | torch.Generator


def mixup(
    x: Tensor, y: Tensor, classes: int, alpha: float, random: Random, ids: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Blends l x + (1 - l) x', and the same of the labels; l ~ Beta(alpha, alpha) for each picture.

    x' is another picture of the batch, by a random permutation (Zhang et al. 2018).

    Args:
        x: (B, 3, H, W).
        y: (B,) int64, 0 to classes - 1.
        classes: C.
        alpha: 0.2 is usual for ImageNet, 1 for CIFAR.
        random: a generator on the CPU, or draws.
        ids: of the samples, (B,), for draws; None takes the row numbers.

    Returns:
        Pictures (B, 3, H, W) and targets (B, C) float32 whose rows sum to 1: a target of
        `torch.nn.functional.cross_entropy`.

    Raises:
        RequestError: a label out of range, or alpha not positive.

    Example:
        >>> x, t = mixup(torch.rand(4, 3, 8, 8), torch.arange(4), 4, 0.2, torch.Generator().manual_seed(0))
        >>> x.shape, t.shape
        (torch.Size([4, 3, 8, 8]), torch.Size([4, 4]))
    """
    partner, keep, _ = _drawn("mixup", x, y, classes, alpha, random, ids)
    part = keep.to(x.dtype).view(-1, 1, 1, 1)
    return part * x + (1 - part) * x[partner], _soft(y, partner, keep, classes)


def cutmix(
    x: Tensor, y: Tensor, classes: int, alpha: float, random: Random, ids: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A box of another picture of the batch pasted in; labels by the area that it covers (Yun et al. 2019).

    The box has 1 - l of the area, l ~ Beta(alpha, alpha), about a uniform centre. What reaches
    beyond the border is cut off, and the targets count the pixels that were truly replaced.

    Args:
        x: (B, 3, H, W).
        y: (B,) int64, 0 to classes - 1.
        classes: C.
        alpha: 1 is usual.
        random: a generator on the CPU, or draws.
        ids: of the samples, (B,), for draws; None takes the row numbers.

    Returns:
        Pictures (B, 3, H, W) and targets (B, C) float32 whose rows sum to 1.

    Raises:
        RequestError: a label out of range, or alpha not positive.

    Example:
        >>> x, t = cutmix(torch.rand(4, 3, 8, 8), torch.arange(4), 4, 1.0, torch.Generator().manual_seed(0))
        >>> t.sum(1)
        tensor([1., 1., 1., 1.])
    """
    partner, keep, centre = _drawn("cutmix", x, y, classes, alpha, random, ids)
    out, pasted = paste(x, x[partner], 1 - keep, centre)
    return out, _soft(y, partner, 1 - pasted, classes)


def paste(x: Tensor, other: Tensor, share: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes of `other` in x: pictures, and the share of pixels replaced.

    Args:
        x: (B, 3, H, W).
        other: the same shape.
        share: of the area, before the border cuts it, (B,) in [0, 1].
        centre: (B, 2) in [0, 1).

    Returns:
        (B, 3, H, W) and (B,) float32.
    """
    high, wide = x.shape[-2:]
    tall, broad = ((share.sqrt() * n).round().long() for n in (high, wide))
    inside = box(centre, tall, broad, high, wide)
    return torch.where(inside, other, x), inside.float().mean((1, 2, 3))


def _drawn(
    name: str, x: Tensor, y: Tensor, classes: int, alpha: float, random: Random, ids: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Partner rows (B,), l (B,) and centres (B, 2)."""
    if not alpha > 0:
        raise RequestError(f"{name}: expected a positive alpha, got {alpha}; 0.2 and 1 are usual")
    if len(y) and not (int(y.min()) >= 0 and int(y.max()) < classes):
        raise RequestError(
            f"{name}: expected labels 0 to {classes - 1}, got {int(y.min())} to {int(y.max())}; "
            "leave samples without a label out"
        )
    if isinstance(random, Draws):
        ids = torch.arange(len(x)) if ids is None else ids
        u = random.spawn(name).uniform(ids.to(x.device), (4,), "mix")
    else:
        u = torch.rand(len(x), 4, generator=random).to(x.device)
    return u[:, 0].argsort(), beta(u[:, 1], alpha, alpha), u[:, 2:]


def _soft(y: Tensor, partner: Tensor, keep: Tensor, classes: int) -> Tensor:
    hot = F.one_hot(y, classes).float()
    return keep[:, None] * hot + (1 - keep[:, None]) * hot[partner]
