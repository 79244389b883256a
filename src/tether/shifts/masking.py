"""Words of a text hidden behind the tokenizer's masking token: the last step of a view, not a shift."""

from __future__ import annotations

from typing import Any

import torch

from tether.batch import Batch
from tether.errors import RequestError
from tether.shifts.draws import Draws

RATE = 0.15  # of the tokens (METHODS 1.2)


def mask_words(batch: Batch, model: Any, draws: Draws, rate: float = RATE) -> Batch:
    """The texts as token embeddings, a share of their tokens replaced by the masking token.

    Each token is drawn by itself; a text of which none was drawn loses the one whose draw was lowest. Special
    tokens and padding stay.

    Args:
        batch: raw texts.
        model: whose tokenizer and table are used.
        draws: of the step; a sample's own.
        rate: chance of a token.

    Raises:
        RequestError: pictures, or texts that came as embeddings already.
    """
    if not isinstance(batch.x, tuple):
        got = "pictures" if batch.space == "raw" else "token embeddings"
        raise RequestError(
            f"masking words: expected texts, got {got}; "
            "leave adv_embedding out, or choose another teacher_head than mlm"
        )
    backbone = model.backbone
    tokens = backbone.tokens(batch.x)
    drawn = draws.uniform(batch.ids.cpu(), (tokens.ids.shape[1],), "mask").masked_fill(~tokens.free, 2.0)
    lowest = drawn.min(1, keepdim=True).values  # 2 where a text has no word at all
    chosen = (drawn < rate) | ((drawn == lowest) & (lowest < 1.0))
    x = backbone.look_up(torch.where(chosen, backbone.tokenizer.mask_token_id, tokens.ids))
    return Batch(x, batch.y, batch.ids, batch.group, tokens.mask.to(x.device), backbone.family)
