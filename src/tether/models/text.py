"""Text models of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.models import cls_export, mean_export, rates
from tether.models.backbone import Encoded, Rate, capture, depth_fractions, feature_device
from tether.models.discover import Plain, Slot, find_blocks, linear_layer, take_off
from tether.models.head_file import write_head
from tether.models.heads import linear_head
from tether.models.images import label
from tether.models.tokens import TableName, Tokens, tokenise
from tether.models.tokens import until_last as until_last
from tether.progress import say


class TextBackbone(nn.Module):
    """A transformers text model read in one of three ways.

    `pooling="mean"`: the network is an encoder; features are the masked mean of its last hidden state,
    normalised over the width (as sentence encoders normalise their embedding; this also lets the model be
    saved as a plain classification model, see `mean_export`).
    `pooling="cls"`: the network is an encoder; features are its first token (saved by `cls_export`).
    `pooling="head"`: the network is a `...ForSequenceClassification`; features are what its last linear
    layer receives: the pooled token, or of a decoder the last valid token.

    An encoder whose library has no class that could hold the head exactly is saved as the encoder with the
    head in a file beside it (`head_file`).

    Args:
        network: the transformers module.
        tokenizer: its tokenizer.
        pooling: "mean", "cls" or "head".
        max_length: tokens kept of a text.
    """

    network: nn.Module
    width: int
    rates: Mapping[str, Rate]

    def __init__(self, network: nn.Module, tokenizer: Any, pooling: str, max_length: int) -> None:
        super().__init__()
        if pooling != "head" and getattr(network, "pooler", None) is not None:
            network.pooler = None  # type: ignore[assignment]  # not read; it must not train or count
        self.network = network
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_length = max_length
        config: Any = network.config
        self.config = config
        self._table_name = TableName()
        self.rates = rates.TEXT
        self._blocks = find_blocks(network)
        self._slot: Slot | None = None
        # The classification layer the network came with, as plain weight and bias: a head does its work.
        self.own: Plain | None = None
        if pooling == "head":
            self._slot, self.own = take_off(network, int(config.num_labels))
            self.width = self.own[0].shape[1]
        else:
            self.width = int(config.hidden_size)
        prepare_padding(config, tokenizer)
        self._adds_tokens = bool(tokenizer("")["input_ids"])

    @property
    def table(self) -> Tensor:
        """The token embeddings, (V, D)."""
        network: Any = self.network
        weight: Tensor = network.get_input_embeddings().weight
        return weight

    @property
    def family(self) -> str:
        """Models of one family read each other's embeddings: they have one architecture and one table."""
        return f"{self.config.model_type}-embeddings-{self._table_name.of(self.table)}"

    def tokens(self, texts: Sequence[str], spans: bool = False) -> Tokens:
        """Texts as the tokenizer takes them apart, on the CPU; with `spans`, where each token stands."""
        return tokenise(self.tokenizer, texts, self.max_length, not self._adds_tokens, spans)

    def look_up(self, ids: Tensor) -> Tensor:
        """Token ids (...) to their embeddings (..., D), as the network's own table gives them."""
        network: Any = self.network
        found: Tensor = network.get_input_embeddings()(ids.to(feature_device(self.network)))
        return found

    def embed(self, batch: Batch) -> Batch:
        """Strings to token embeddings (B, T, D) with the mask (B, T); a batch already embedded passes."""
        if batch.space != "raw":
            return self._own(batch)
        return self._embedded(batch, self.family)

    def _embedded(self, batch: Batch, space: str) -> Batch:
        if not isinstance(batch.x, tuple):
            raise RequestError(
                f"model: a text encoder ({self.config.model_type}) expects texts, got pictures; "
                "choose an image model or another data set"
            )
        tokens = self.tokens(batch.x)
        x = self.look_up(tokens.ids)
        return Batch(
            x=x, y=batch.y, ids=batch.ids, group=batch.group, mask=tokens.mask.to(x.device), space=space
        )

    def _own(self, batch: Batch) -> Batch:
        """An embedded batch, if it was embedded with this model's table."""
        if batch.space != self.family:
            raise RequestError(
                f"model: expected texts or embeddings of {self.family}, got {batch.space}: only models that "
                "share the token embeddings read each other's, such as a LoRA student and its initial "
                "teacher; use a shift that gives texts, such as adv_substitution"
            )
        return batch

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each whole text, special ones included."""
        # Without `verbose` the tokenizer warns of every text that is longer than the model's limit.
        return [len(ids) for ids in self.tokenizer(list(texts), verbose=False)["input_ids"]]

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, D) and block outputs (B, T, D)."""
        # The space is not named on the way from raw: naming it reads the whole table.
        batch = self._embedded(batch, "unnamed") if batch.space == "raw" else self._own(batch)
        assert isinstance(batch.x, Tensor)
        assert batch.mask is not None
        inputs = {"inputs_embeds": batch.x, "attention_mask": batch.mask.long()}
        with capture(self._blocks, hidden) as found:
            if self._slot is not None:
                with self._slot.listen() as heard:
                    self.network(**inputs)
                features = last_token(heard[0], batch.mask) if heard[0].dim() == 3 else heard[0]
            else:
                states = self.network(**inputs).last_hidden_state
                if self.pooling == "cls":
                    features = states[:, 0]
                else:
                    features = masked_mean(states, batch.mask)
                    features = nn.functional.layer_norm(features, (self.width,), eps=mean_export.EPS)
        return Encoded(features, found, batch.mask)

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Layers at depths 1/4, 1/2, 3/4 and 1."""
        return depth_fractions(len(self._blocks))

    def blank(self) -> Batch:
        """One short text."""
        none = torch.zeros(1, dtype=torch.long)
        return Batch(("a",), none - 100, none)

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """A folder that `AutoModelForSequenceClassification` and `AutoTokenizer` load, where there is one.

        Else (mean pooling of a layout unlike BERT's, a head with a bias over a class without one) the
        network, with the head in `head.safetensors`.
        """
        if self._slot is not None:
            self._save_own_class(folder, weight, bias, classes)
            return
        whole: Any = None
        if self.pooling == "cls":
            whole = cls_export.classifier(self.network, weight, bias)
        elif mean_export.supported(self.network):
            whole = mean_export.classifier(self.network, weight, bias)
        if whole is None:
            self.save_network(folder)
            self._write_head(folder, weight, bias, classes)
            return
        label(whole.config, classes)
        whole.save_pretrained(folder)
        self._save_tokenizer(folder)

    def _save_own_class(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        assert self._slot is not None
        assert self.own is not None
        biased = self.own[1] is not None
        self._slot.put(linear_layer(weight, bias if biased else None))
        try:
            label(self.config, classes)
            self.save_network(folder)
        finally:
            self._slot.put(nn.Identity())
        if not biased and bool((bias != bias[0]).any()):  # one number for all classes changes no probability
            say(f"note: {type(self.network).__name__} has no bias; it is in {folder.name}/head.safetensors")
            self._write_head(folder, weight, bias, classes)

    def _write_head(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        write_head(folder, linear_head(weight, bias), classes, pooling=self.pooling)

    def save_network(self, folder: Path) -> None:
        """The network and its tokenizer, without a head."""
        network: Any = self.network
        network.save_pretrained(folder)
        self._save_tokenizer(folder)

    def _save_tokenizer(self, folder: Path) -> None:
        self.tokenizer.model_max_length = self.max_length
        self.tokenizer.save_pretrained(folder)


def prepare_padding(config: Any, tokenizer: Any) -> None:
    """Pad on the right, where padding moves no position; without a padding token the end token pads."""
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise RequestError(
                "model: its tokenizer has neither a padding nor an end token; give it one of them"
            )
        tokenizer.pad_token = tokenizer.eos_token
        say(f"note: the tokenizer has no padding token; its end token {tokenizer.eos_token!r} pads")
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    config.use_cache = False  # a decoder would keep keys and values that nothing reads


def longest(network: nn.Module, tokenizer: Any) -> int:
    """The most tokens the model can read.

    RoBERTa's positions start after the padding index, so its table of 514 holds 512.
    """
    config: Any = network.config
    limit = int(getattr(config, "max_position_embeddings", None) or tokenizer.model_max_length)
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            limit = module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return min(limit, int(tokenizer.model_max_length))


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid tokens: (B, T, D), (B, T) -> (B, D)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * weights).sum(1) / weights.sum(1)


def last_token(hidden: Tensor, mask: Tensor) -> Tensor:
    """The last valid token, padding on the right: (B, T, D), (B, T) -> (B, D)."""
    last = mask.sum(1).clamp(min=1) - 1
    return hidden[torch.arange(len(hidden), device=hidden.device), last]
