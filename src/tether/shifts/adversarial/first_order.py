"""The first-order score of a swap: (E_w - E_x) . grad J (METHODS 1.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tether.batch import Batch
from tether.shifts.adversarial.ascent import Ball
from tether.shifts.adversarial.neighbours import word_ids
from tether.shifts.adversarial.places import Place
from tether.shifts.adversarial.reads import ReadsTokens, embedded
from tether.shifts.draws import Draws

PROBE = 0.01  # share of ||e||; at the clean text itself "anchor" has its minimum and no gradient


class Slopes:
    """The gradient of J at the token embeddings of some texts, a little off them at random.

    Args:
        batch: raw texts.
        backbone: takes them apart.
        objective: of these rows.
        draws: what the offset is drawn from.
    """

    def __init__(
        self,
        batch: Batch,
        backbone: ReadsTokens,
        objective: Callable[[Batch], Tensor],
        draws: Draws,
    ) -> None:
        assert isinstance(batch.x, tuple)
        tokens = backbone.tokens(batch.x, spans=True)
        assert tokens.spans is not None
        self._backbone = backbone
        self._spans = tokens.spans
        with torch.no_grad():
            self._e = backbone.look_up(tokens.ids).float()
        mask, free = (t.to(self._e.device) for t in (tokens.mask, tokens.free))
        self._free = tokens.free
        length = torch.where(mask[..., None], self._e, 0.0).flatten(1).norm(dim=1)
        ball = Ball(self._e, PROBE * length, "l2", batch.ids.to(self._e.device), draws, free[..., None])
        leaf = ball.start().requires_grad_(True)
        j = objective(embedded(backbone, batch, leaf, mask))
        (gradient,) = torch.autograd.grad(j.sum(), leaf)
        # What follows are many small sums over single words: on the CPU they wait for nothing.
        self._e, self._gradient = self._e.cpu(), gradient.cpu()
        self._steepness = self._gradient.square().sum(-1)  # (B, T)
        self._vectors: dict[str, Tensor] = {}

    def steepest(self, found: Sequence[Place], count: int) -> list[Place]:
        """The `count` places whose gradient is longest, of those that the model reads."""
        read = [p for p in found if self._at(p)]
        read.sort(key=lambda p: float(self._steepness[p.row, self._at(p)].sum()), reverse=True)
        return read[:count]

    def scores(self, place: Place, candidates: Sequence[str]) -> Tensor:
        """First-order change of J for each candidate, (len(candidates),).

        Words of as many tokens are compared token by token, others by their mean embeddings.
        """
        at = self._at(place)
        e, g = self._e[place.row, at], self._gradient[place.row, at]  # (m, D)
        self._learn(candidates)
        words = [self._vectors[c] for c in candidates]
        scores = torch.stack([w.mean(0) for w in words]) - e.mean(0)  # (n, D)
        scores = scores @ g.sum(0)
        if aligned := [i for i, w in enumerate(words) if len(w) == len(e)]:
            scores[aligned] = ((torch.stack([words[i] for i in aligned]) - e) * g).sum((1, 2))
        return scores

    def _at(self, place: Place) -> list[int]:
        """The tokens of a word."""
        spans = self._spans[place.row]
        inside = (spans[:, 0] < place.end) & (spans[:, 1] > place.start) & self._free[place.row]
        return [int(i) for i in inside.nonzero().flatten()]

    def _learn(self, words: Sequence[str]) -> None:
        new = [w for w in dict.fromkeys(words) if w not in self._vectors]
        tokenizer: Any = self._backbone.tokenizer
        for word, ids in zip(new, word_ids(tokenizer, new), strict=True):
            # A word that the tokenizer drops altogether stands for nothing.
            known = ids or [tokenizer.pad_token_id]
            with torch.no_grad():
                self._vectors[word] = self._backbone.look_up(torch.tensor(known)).float().cpu()
