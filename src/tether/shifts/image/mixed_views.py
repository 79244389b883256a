"""mixup and CutMix as views: each sample mixed with one of the training set, and its label given up.

METHODS 5.2: these are no shifts of a sample. A loss that asks a teacher about the mixed picture may use
them, since it needs no label; a loss that needs one leaves them out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tether.batch import Batch
from tether.data import Examples
from tether.errors import RequestError
from tether.shifts.beta import beta
from tether.shifts.draws import Draws
from tether.shifts.image.mixup import paste
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift
from tether.shifts.supplies import Supplies

FAMILY = "mixup"
# (pictures, partners, the partner's share (B,), ids, draws) -> pictures
Join = Callable[[Tensor, Tensor, Tensor, Tensor, Draws], Tensor]


def partners(train: Examples, ids: Tensor, draws: Draws) -> Tensor:
    """A row of the training set for each sample, (B,) int64, never its own."""
    count = len(train)
    order = np.argsort(train.ids)
    wanted = ids.cpu().numpy()
    place = order[np.searchsorted(train.ids[order], wanted).clip(max=count - 1)]
    own = torch.from_numpy(np.where(train.ids[place] == wanted, place, -1))
    row = draws.integers(ids, 0, count, (), "partner").cpu()
    return torch.where(row == own, (row + 1) % count, row)


def share(ids: Tensor, severity: int, alpha: float, draws: Draws) -> Tensor:
    """The partner's share, (B,): severity / 5 of min(lambda, 1 - lambda), lambda ~ Beta(alpha, alpha).

    So the sample always keeps at least half of the picture, and severity 5 is the usual mix.
    """
    part = beta(draws.uniform(ids, (), "share"), alpha, alpha)
    return torch.minimum(part, 1 - part) * (severity / 5)


def blend(x: Tensor, other: Tensor, part: Tensor, ids: Tensor, draws: Draws) -> Tensor:
    """(1 - part) x + part other."""
    return torch.lerp(x, other, part.view(-1, 1, 1, 1))


def pasted(x: Tensor, other: Tensor, part: Tensor, ids: Tensor, draws: Draws) -> Tensor:
    """A box of `other` with that part of the area."""
    return paste(x, other, part, draws.uniform(ids, (2,), "centre"))[0]


def with_partners(name: str, summary: str, join: Join, alpha: float) -> Recipe:
    """The recipe of a shift that joins each picture with one of the training set."""
    if not 0 < alpha < float("inf"):
        raise RequestError(f"{name}.alpha: expected a positive number, got {alpha}; 1 is usual")

    def build(supplies: Supplies) -> Shift:
        train = supplies.train
        if len(train) < 2:
            raise RequestError(
                f"{name}: expected two or more training samples, got {len(train)}; add samples"
            )

        def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
            other = train.batch(partners(train, batch.ids, draws).tolist()).x

            def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
                if not isinstance(other, Tensor) or other.shape[1:] != x.shape[1:]:
                    raise RequestError(
                        f"{name}: expected pictures of the training set's size, got {tuple(x.shape[1:])}; "
                        "set data.size, so that all are resized alike"
                    )
                return join(x, other.to(x), share(ids, severity, alpha, draws), ids, draws)

            return on_pixels(change)(batch, severity, draws)

        return Shift(name, FAMILY, "image", summary, apply, label_preserving=False, default=False)

    return Recipe(name, FAMILY, "image", summary, build, label_preserving=False)


def make_mixup(alpha: float = 1.0) -> Recipe:
    """The picture blended with one of the training set; the label is given up.

    Args:
        alpha: of Beta(alpha, alpha); below 1 most mixes are slight.

    Raises:
        RequestError: when alpha is not positive.
    """
    return with_partners("mixup", _MIXUP, blend, alpha)


def make_cutmix(alpha: float = 1.0) -> Recipe:
    """A box of another picture of the training set pasted in; the label is given up.

    Args:
        alpha: of Beta(alpha, alpha), which draws the box's share of the area.

    Raises:
        RequestError: when alpha is not positive.
    """
    return with_partners("cutmix", _CUTMIX, pasted, alpha)


_MIXUP = "blended with another training picture; no label"
_CUTMIX = "a box of another training picture pasted in; no label"
MAKERS = (
    Maker("mixup", FAMILY, "image", _MIXUP, make_mixup),
    Maker("cutmix", FAMILY, "image", _CUTMIX, make_cutmix),
)
