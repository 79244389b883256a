"""Sampling tokens so that a text's rewrite does not hang on the texts beside it in the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from tether.shifts.draws import Draws


def nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Logits with all but the likeliest tokens at -inf: the fewest whose probabilities sum to top_p or more.

    Args:
        scores: (B, V).
        top_p: in (0, 1].

    Returns:
        (B, V); at least one token of a row stays.
    """
    ordered, index = scores.sort(dim=-1, descending=True)
    chances = ordered.softmax(dim=-1)
    before = chances.cumsum(dim=-1) - chances  # of the tokens likelier than this one
    return scores.masked_fill(
        torch.zeros_like(scores, dtype=torch.bool).scatter(1, index, before >= top_p), -torch.inf
    )


class GumbelNoise:
    """A step of `generate` that turns its argmax into a draw: logits plus Gumbel noise (Gumbel-max).

    The noise of a row is keyed by its number and the token's place, so neither the batch's size nor its
    order changes a draw, and no global generator is read.

    Args:
        numbers: (B,) int64, one for each row.
        start: tokens in the input before the first generated one.
        temperature: as of `Sampling`.
        top_p: likewise.
    """

    def __init__(self, numbers: Tensor, start: int, temperature: float, top_p: float) -> None:
        self.numbers = numbers
        self.start = start
        self.temperature = temperature
        self.top_p = top_p

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Noisy logits (B, V) of the next token."""
        place = input_ids.shape[1] - self.start
        kept = nucleus(scores.float() / self.temperature, self.top_p)
        u = Draws(0).uniform(self.numbers, (scores.shape[1],), f"token {place}").to(scores.device)
        # Half a step above what uniform gives: neither logarithm ever sees 0 or 1.
        return kept - (-(u + 2.0**-25).log()).log()
