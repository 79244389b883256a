"""Candidates from a masked language model: what fits the gap in this very sentence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tether.errors import RequestError
from tether.shifts.adversarial.neighbours import whole_words
from tether.shifts.adversarial.places import Place
from tether.shifts.adversarial.reads import ReadsTokens

_AT_ONCE = 64  # sentences a forward


class MaskedLM:
    """The top whole-word fillers of each masked word; loaded when first asked.

    Args:
        name: a folder or hub name of the transformers library. Its tokenizer may differ from the model's.
        top: candidates a word.

    Raises:
        RequestError: a path that does not exist; at the first call, a model that cannot fill a mask.
    """

    def __init__(self, name: str, top: int) -> None:
        local = name.startswith((".", "/", "~")) or "/" not in name
        if local and not Path(name).expanduser().is_dir():
            raise RequestError(
                f"adv_substitution.masked_lm: expected the folder of a masked language model or a hub name "
                f"owner/name, got {name!r}; mend the path"
            )
        self._name = str(Path(name).expanduser()) if local else name
        self._top = top
        self._model: Any = None
        self._tokenizer: Any = None
        self._words: list[str] = []
        self._ids = torch.empty(0, dtype=torch.long)

    def __call__(self, asked: Sequence[Place], backbone: ReadsTokens) -> list[list[str]]:
        """Candidates for each place, likeliest first; none where the gap lies beyond the model's reach."""
        if self._model is None:
            self._load(backbone.table.device)
        out: list[list[str]] = []
        for i in range(0, len(asked), _AT_ONCE):
            out += self._fill([p.put(self._tokenizer.mask_token) for p in asked[i : i + _AT_ONCE]])
        return out

    def _fill(self, texts: list[str]) -> list[list[str]]:
        coded = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest(), return_tensors="pt"
        ).to(self._ids.device)
        with torch.no_grad():
            logits = self._model(**coded).logits  # (B, T, V)
        gaps = coded["input_ids"] == self._tokenizer.mask_token_id
        row, column = gaps.nonzero(as_tuple=True)
        best = logits[row, column][:, self._ids].topk(min(self._top, len(self._words)), dim=1).indices
        found: list[list[str]] = [[] for _ in texts]
        for r, ids in zip(row.tolist(), best.tolist(), strict=True):
            # A text may hold a [MASK] of its own; then which gap is meant is not known.
            found[r] = [] if found[r] or int(gaps[r].sum()) > 1 else [self._words[i] for i in ids]
        return found

    def _longest(self) -> int:
        limit = getattr(self._model.config, "max_position_embeddings", None) or 512
        return min(int(limit) - 2, int(self._tokenizer.model_max_length))  # RoBERTa counts from 2

    def _load(self, device: torch.device) -> None:
        import transformers

        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(self._name, trust_remote_code=False)
            model = transformers.AutoModelForMaskedLM.from_pretrained(
                self._name, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError) as e:
            raise RequestError(
                f"adv_substitution.masked_lm: expected a masked language model, {self._name} cannot be read "
                f"as one: {str(e).splitlines()[0]}"
            ) from e
        if self._tokenizer.mask_token is None or not self._tokenizer.is_fast:
            raise RequestError(
                f"adv_substitution.masked_lm: expected a model with a mask token and a fast tokenizer, got "
                f"{self._name}; choose one such as BERT"
            )
        words = whole_words(self._tokenizer)
        self._words = list(words)
        self._ids = torch.tensor(list(words.values()), dtype=torch.long, device=device)
        self._model = model.eval().requires_grad_(False).to(device)
