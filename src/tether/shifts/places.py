"""Where a sample stands in the training set, for shifts that made something for each of its samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tether.data import Examples
from tether.errors import RequestError


def places(train: Examples, name: str) -> Callable[[Tensor], Tensor]:
    """A function from ids (B,) to positions in the training set, (B,) int64 on the CPU.

    Args:
        train: the set.
        name: of the shift, for the error.

    Raises:
        RequestError: from that function, at an id that is none of the set's: a shift made from training
            samples has nothing for it, and a clean sample would pass for a shifted one.
    """
    order = np.argsort(train.ids, kind="stable")
    ids = train.ids[order]

    def at(wanted: Tensor) -> Tensor:
        asked = wanted.cpu().numpy()
        found = np.minimum(np.searchsorted(ids, asked), len(ids) - 1)
        if len(strange := asked[ids[found] != asked]):
            raise RequestError(
                f"{name}: expected samples of the training set it was built for, got the id {strange[0]}; "
                "use this shift in training only"
            )
        return torch.from_numpy(order[found])

    return at
