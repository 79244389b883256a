"""Rows of one view that several shifts made: strings beside token embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tether.batch import Batch
from tether.errors import RequestError


def in_one_space(parts: Sequence[Batch], model: Any) -> list[Batch]:
    """The parts as they are when all live in one space; else the raw ones embedded by the model.

    A view is data: no gradient reaches the embedding table through it.

    Args:
        parts: raw batches, and batches in the space of this model.
        model: a `Model`; asked only when the spaces differ.

    Raises:
        RequestError: parts embedded by different models, or no model to embed with.
    """
    embedded = sorted({p.space for p in parts} - {"raw"})
    if not embedded or (all(p.space != "raw" for p in parts) and len(embedded) == 1):
        return list(parts)
    if len(embedded) > 1:
        raise RequestError(
            f"mixture: expected embeddings of one model, got those of {', '.join(embedded)}; make all "
            "attacks of a mixture against the same model"
        )
    backbone = getattr(model, "backbone", None)
    if backbone is None:
        raise RequestError(
            f"mixture: some shifts gave embeddings ({embedded[0]}) and some raw samples, got no model to "
            "embed the latter with; pass the model"
        )
    with torch.no_grad():
        joined = [p if p.space != "raw" else backbone.embed(p) for p in parts]
    if any(p.space != embedded[0] for p in joined):
        raise RequestError(
            f"mixture: the model embeds into {joined[0].space}, got rows in {embedded[0]}; make the attacks "
            "against this model"
        )
    return joined
