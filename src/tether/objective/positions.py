"""From block outputs to rows: which positions of a picture or a text a loss looks at."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tether.errors import RequestError

Positions = Literal["all", "cls", "mean"]
SAMPLED = 16  # positions a sample of `sampled` (METHODS 1.6)


def rows(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Valid positions as rows: (B, T, D) with mask (B, T), or (B, C, H, W) -> (N, D), in fp32."""
    if hidden.dim() == 4:
        return hidden.float().permute(0, 2, 3, 1).flatten(0, 2)
    if mask is None:
        return hidden.float().flatten(0, -2)
    return hidden.float()[mask]


def pooled(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """One row a sample: the masked mean over positions, (B, T, D) or (B, C, H, W) -> (B, D)."""
    if hidden.dim() == 4:
        return hidden.float().mean((2, 3))
    if mask is None:
        return hidden.float().mean(1)
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)


def first(hidden: Tensor) -> Tensor:
    """The first token, where a transformer keeps its class token: (B, T, D) -> (B, D).

    Raises:
        RequestError: for feature maps (B, C, H, W), which have none.
    """
    if hidden.dim() == 4:
        raise RequestError(
            "feature_tokens: expected a transformer, whose blocks give tokens, got a convolutional network's "
            "feature maps, which have no class token; use all or mean"
        )
    return hidden.float()[:, 0]


def chosen(hidden: Tensor, mask: Tensor | None, tokens: Positions) -> Tensor:
    """The rows (N, D) that a feature loss compares (METHODS 1.5)."""
    if tokens == "all":
        return rows(hidden, mask)
    return pooled(hidden, mask) if tokens == "mean" else first(hidden)


def positions(hidden: Tensor) -> int:
    """How many positions a sample has: T, or H x W."""
    return hidden.shape[1] if hidden.dim() == 3 else hidden.shape[2] * hidden.shape[3]


def sampled(hidden: Tensor, mask: Tensor | None, scores: Tensor, count: int = SAMPLED) -> Tensor:
    """Of each sample the valid positions with the lowest scores, `count` at most: -> (N, D), in fp32.

    Args:
        hidden: (B, T, D), or (B, C, H, W), whose H x W places are positions.
        mask: valid positions (B, T).
        scores: random numbers (B, positions); the same ones for two models pick the same positions.
    """
    flat = hidden if hidden.dim() == 3 else hidden.flatten(2).transpose(1, 2)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.inf)
    lowest, index = scores.topk(min(count, scores.shape[1]), largest=False)  # (B, count)
    picked = flat.float().gather(1, index.unsqueeze(-1).expand(-1, -1, flat.shape[-1]))
    return picked[torch.isfinite(lowest)]
