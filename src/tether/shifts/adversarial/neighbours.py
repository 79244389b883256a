"""Candidates from the attacked model's own embedding table: the nearest whole-word tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tether.progress import bar
from tether.shifts.adversarial.places import Place
from tether.shifts.adversarial.reads import ReadsTokens

_LEAD = "a "  # a word reads differently at the start of a text in some tokenizers; put it second
_HELD_WORDS = 50_000
_AT_ONCE = 10_000  # tokens


def word_ids(tokenizer: Any, words: Sequence[str]) -> list[list[int]]:
    """Token ids of each word as it stands inside a text.

    Args:
        tokenizer: a fast one, of the transformers library.
        words: any number.
    """
    if not words:
        return []
    coded = tokenizer([_LEAD + w for w in words], add_special_tokens=False, return_offsets_mapping=True)
    return [
        # A token for the space before the word is the word's: some tokenizers write rare words so.
        [i for i, (_, end) in zip(ids, spans, strict=True) if end >= len(_LEAD)]
        for ids, spans in zip(coded["input_ids"], coded["offset_mapping"], strict=True)
    ]


def whole_words(tokenizer: Any) -> dict[str, int]:
    """Words that are one token: word -> its id, found by asking the tokenizer for each of its tokens."""
    size, found = len(tokenizer), {}
    special = {*tokenizer.all_special_ids}
    with bar("whole words of the tokenizer", size) as progress:
        for first in range(0, size, _AT_ONCE):
            part = [i for i in range(first, min(first + _AT_ONCE, size)) if i not in special]
            texts = [(i, tokenizer.decode([i]).strip()) for i in part]
            able = [(i, t) for i, t in texts if t.isalpha() and len(t) > 1]
            ids = word_ids(tokenizer, [t for _, t in able])
            found.update({t: i for (i, t), own in zip(able, ids, strict=True) if own == [i]})
            progress.to(min(first + _AT_ONCE, size))
    return found


class Neighbours:
    """The words nearest by cosine in the table; antonyms are near too, and are filtered by the caller.

    What it remembers hangs on the table's content (`family` names it), so a resumed run finds the same.

    Args:
        top: candidates a word.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._family = ""
        self._words: list[str] = []
        self._units = torch.empty(0)
        self._known: dict[str, list[str]] = {}

    def __call__(self, asked: Sequence[Place], backbone: ReadsTokens) -> list[list[str]]:
        """Candidates for each place, nearest first."""
        if backbone.family != self._family:
            self._read(backbone)
        new = sorted({p.word for p in asked} - self._known.keys())
        if len(self._known) > _HELD_WORDS:
            self._known.clear()
            new = sorted({p.word for p in asked})
        if new and self._words:
            near = self._nearest(new, backbone)
            for word, row in zip(new, near.tolist(), strict=True):
                self._known[word] = [self._words[i] for i in row]
        return [self._known.get(p.word, []) for p in asked]

    def _read(self, backbone: ReadsTokens) -> None:
        found = whole_words(backbone.tokenizer)
        self._family, self._words, self._known = backbone.family, list(found), {}
        ids = torch.tensor(list(found.values()), dtype=torch.long, device=backbone.table.device)
        self._units = _unit(backbone.table.detach()[ids].float())

    def _nearest(self, words: Sequence[str], backbone: ReadsTokens) -> Tensor:
        table = backbone.table.detach()
        vectors = []
        for ids in word_ids(backbone.tokenizer, words):
            rows = table[torch.tensor(ids, dtype=torch.long, device=table.device)].float()
            vectors.append(rows.mean(0) if len(rows) else table.new_zeros(table.shape[1]).float())
        close = _unit(torch.stack(vectors)) @ self._units.T  # (words, whole words)
        nearest: Tensor = close.topk(min(self._top, len(self._words)), dim=1).indices
        return nearest


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=1)
