"""The loss of matched pairs, which image-text models are trained with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def symmetric_info_nce(pairs: Tensor) -> Tensor:
    """Symmetric InfoNCE of N pictures and their N texts, a scalar in nats (Radford et al. 2021).

    Pictures whose texts are equal count as each other's negatives. Sharing the target evenly among them
    instead would change nothing: as their texts are equal, the loss has that very value.

    Args:
        pairs: scaled cosines, pictures x texts, (N, N); picture i belongs to text i.

    Example:
        >>> round(float(symmetric_info_nce(torch.zeros(4, 4))), 4)
        1.3863
    """
    own = torch.arange(len(pairs), device=pairs.device)
    return (F.cross_entropy(pairs, own) + F.cross_entropy(pairs.T, own)) / 2
