"""Tokens: a text as a tokenizer takes it apart, and the name of the space its embeddings live in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tether.errors import RequestError


@dataclass(frozen=True)
class Tokens:
    """B texts, padded on the right to T tokens.

    Attributes:
        ids: (B, T) int64.
        mask: which are no padding, (B, T) bool.
        free: which stand for letters of the text: no padding, no special token, (B, T) bool.
        spans: first and last-plus-one character of each token in its text, (B, T, 2) int64, if asked for.
    """

    ids: Tensor
    mask: Tensor
    free: Tensor
    spans: Tensor | None


def tokenise(
    tokenizer: Any, texts: Sequence[str], max_length: int, stand_in: bool, spans: bool = False
) -> Tokens:
    """Take texts apart.

    Args:
        tokenizer: of the transformers library, padding on the right.
        texts: at least one.
        max_length: tokens kept of a text.
        stand_in: the tokenizer adds no token of its own, and an empty text would have none: the padding
            token stands for it.
        spans: also say where each token stands, which slow tokenizers cannot.

    Raises:
        RequestError: spans of a slow tokenizer.
    """
    if spans and not tokenizer.is_fast:
        raise RequestError(
            "model: expected a fast tokenizer, which says where a token stands, got "
            f"{type(tokenizer).__name__}; use a model that comes with a tokenizer.json"
        )
    texts = list(texts)
    if stand_in:
        texts = [t if t.strip() else tokenizer.pad_token for t in texts]
    coded = tokenizer(
        texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt",
        return_offsets_mapping=spans,
    )  # fmt: skip
    ids: Tensor = coded["input_ids"]
    mask = coded["attention_mask"].bool() & until_last(ids != tokenizer.pad_token_id)
    mask[:, 0] = True  # the row of a text without a token
    special = {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}  # an unknown word is a word
    free = mask & ~torch.isin(ids, torch.tensor(sorted(special), dtype=ids.dtype))
    return Tokens(ids, mask, free, coded["offset_mapping"] if spans else None)


def until_last(valid: Tensor) -> Tensor:
    """True up to the last True of each row: (B, T) -> (B, T).

    The library takes the last token that is not padding for a text's end. Where the end token pads, that
    leaves out end tokens of the text itself, and so must we.
    """
    return valid.flip(1).cumsum(1).flip(1) > 0


class TableName:
    """A name for what is in an embedding table, computed again only after the table changed.

    Two models whose tables hold the same numbers read each other's embeddings; two of one architecture
    that were trained apart do not.
    """

    def __init__(self) -> None:
        self._mark: tuple[int, int] | None = None
        self._name = ""

    def of(self, table: Tensor) -> str:
        """Eight hex digits of a hash of the table (V, D)."""
        mark = (table.data_ptr(), table._version)
        if mark != self._mark:
            content = table.detach().cpu().contiguous().view(torch.uint8).numpy().data
            self._mark, self._name = mark, hashlib.blake2b(content, digest_size=4).hexdigest()
        return self._name
