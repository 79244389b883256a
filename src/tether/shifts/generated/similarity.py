"""Whether a rewrite means the same: cosine under an encoder that is not M_0 (METHODS section 5.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tether.batch import Batch
from tether.data.weights import WEIGHTS, weights
from tether.errors import RequestError
from tether.shifts.generated.language_model import loaded, model_id

Floats = NDArray[np.float64]
LEAST_COSINE = 0.75
# Of the stand-in. Of 20,000 pairs drawn from the training texts of `sentiment`, 99 in 100 share less.
LEAST_OVERLAP = 0.2
LONGEST = 256  # tokens read of a text
BATCH = 64


class Encoded:
    """Mean-pooled states of a transformers encoder.

    Args:
        name: packaged weights ("minilm-l6", "minilm-l3"), a folder or a hub name.
        device: where it runs.

    Raises:
        RequestError: it is no such model.
    """

    what = "similarity"

    def __init__(self, name: str, device: torch.device, least: float = LEAST_COSINE) -> None:
        import transformers

        where = str(weights(name)) if name in WEIGHTS else name
        given: dict[str, Any] = {"trust_remote_code": False}
        kind = "a text encoder of the transformers library"
        self.network = loaded(
            lambda: transformers.AutoModel.from_pretrained(
                where, dtype=torch.float32, use_safetensors=True, **given
            ),
            name,
            kind,
        )
        self.network.to(device).eval()
        self.tokenizer = loaded(
            lambda: transformers.AutoTokenizer.from_pretrained(where, **given), name, kind
        )
        self.name, self.device, self.least = name, device, least

    def states(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token states (B, T, D) and mask (B, T), on the CPU."""
        longest = min(LONGEST, getattr(self.network.config, "max_position_embeddings", LONGEST))
        coded = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=longest, return_tensors="pt"
        ).to(self.device)
        with torch.no_grad():
            states = self.network(**coded).last_hidden_state
        return states.float().cpu(), coded["attention_mask"].cpu()

    def __call__(self, sources: Sequence[str], rewrites: Sequence[str]) -> Floats:
        """Cosine of each pair, (B,)."""
        return _cosine(self._embedded(sources), self._embedded(rewrites))

    def _embedded(self, texts: Sequence[str]) -> Floats:
        parts = []
        for start in range(0, len(texts), BATCH):
            states, mask = self.states(texts[start : start + BATCH])
            parts.append(((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).numpy())
        return np.concatenate(parts).astype(np.float64)


class Overlap:
    """Stand-in where no encoder is given: shared letter triples, weighted by rarity. It reads no meaning.

    It refuses rewrites about something else; one that turns the meaning in the same words passes.

    Args:
        texts: the training texts, for the rarities.
    """

    what = "overlap"
    name = "letter triples"

    def __init__(self, texts: Sequence[str], least: float = LEAST_OVERLAP) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        self._hash = HashingVectorizer(
            analyzer="char_wb", ngram_range=(3, 3), n_features=1 << 18, alternate_sign=False, norm=None
        )
        self._weigh = TfidfTransformer(sublinear_tf=True).fit(self._hash.transform(texts))
        self.least = least

    def __call__(self, sources: Sequence[str], rewrites: Sequence[str]) -> Floats:
        """Cosine of each pair, (B,)."""
        one, other = (self._weigh.transform(self._hash.transform(texts)) for texts in (sources, rewrites))
        return np.asarray(one.multiply(other).sum(axis=1), dtype=np.float64).reshape(-1)


def encoder_id(name: str | None) -> str:
    """What tells one filter from another in the cache."""
    if name is None:
        return Overlap.name
    return name if name in WEIGHTS else model_id(str(Path(name).expanduser()), None)


def refuse_initial(encoder: Encoded, embed: Callable[[Batch], Tensor], texts: Sequence[str]) -> None:
    """Refuse M_0 as its own judge: rewrites it sees as the same are those it is robust to already.

    Told by the features: the encoder's mean or first state, plain or centred, is M_0's on every text.

    Raises:
        RequestError: it is M_0.
    """
    none = torch.full((len(texts),), -100)
    own = embed(Batch(tuple(texts), none, torch.arange(len(texts)))).double()
    states, mask = encoder.states(texts)
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    for found in (mean, states[:, 0]):
        for features in (found, found - found.mean(1, keepdim=True)):
            if own.shape == features.shape and _cosine(own.numpy(), features.double().numpy()).min() > 0.999:
                raise RequestError(
                    f"shift.encoder: {encoder.name} gives the initial model's own features, and a model "
                    "cannot judge what is to be taught to it (METHODS 5.3); name another encoder"
                )


def _cosine(a: Floats, b: Floats) -> Floats:
    length = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine: Floats = (a * b).sum(1) / np.where(length > 0, length, 1)
    return cosine
