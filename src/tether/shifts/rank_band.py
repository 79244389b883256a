"""Severity for shifts that hold several ready variants of a sample: the band of ranks they come from."""

from __future__ import annotations

import torch
from torch import Tensor

_STEP = 1 / 8  # of the ranks, by which the band moves on with each severity
_WIDTH = 1 / 2  # of the ranks, that a band covers


def ranked(severity: int, uniform: Tensor, counts: Tensor) -> Tensor:
    """Which of a sample's variants, sorted from the nearest to it to the farthest, a severity shows.

    Severity 1 draws among the nearer half, 3 among the middle half, 5 among the farther half. The rank never
    falls as the severity rises, for a sample's one uniform number. Of one variant it is always that one.

    Args:
        severity: 1 to 5.
        uniform: (B,) in [0, 1).
        counts: (B,) int64, variants of each sample, at least 1.

    Returns:
        (B,) int64 ranks, from 0.

    Example:
        >>> ranked(5, torch.tensor([0.0, 0.9]), torch.tensor([4, 4])).tolist()
        [2, 3]
    """
    place = (severity - 1) * _STEP + uniform.double() * _WIDTH
    return torch.minimum((place * counts).floor().long(), counts - 1)
