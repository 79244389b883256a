"""Text encoders of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.errors import RequestError
from tether.models import mean_export
from tether.models.backbone import Encoded, Rate, capture, depth_fractions, feature_device

# METHODS 1.10 and 1.3: LoRA 2e-4 for text, head 1e-3, a fully tuned text model 2e-5 with decay 0.01.
RATES: Mapping[str, Rate] = {
    "backbone": Rate(2e-5, 0.01),
    "adapter": Rate(2e-4),
    "head": Rate(1e-3, 1e-4),
}


def last_linear(network: nn.Module, outputs: int) -> nn.Linear:
    """The classification layer: the last linear layer with as many outputs as there are labels."""
    found = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == outputs]
    if not found:
        raise RequestError(
            f"expected a classification model whose last layer is linear with {outputs} outputs, got "
            f"{type(network).__name__}; use an encoder with pooling=mean"
        )
    return found[-1]


class TextBackbone(nn.Module):
    """A transformers encoder read in one of two ways.

    `pooling="mean"`: the network is an encoder; features are the masked mean of its last hidden state,
    normalised over the width (as sentence encoders normalise their embedding; this also lets the model be
    saved as a plain classification model, see `mean_export`).
    `pooling="head"`: the network is a `...ForSequenceClassification`; features are what its last linear
    layer receives.

    Args:
        network: the transformers module.
        tokenizer: its tokenizer.
        pooling: "mean" or "head".
        max_length: tokens kept of a text.
    """

    network: nn.Module
    width: int
    family: str
    rates: Mapping[str, Rate]

    def __init__(self, network: nn.Module, tokenizer: Any, pooling: str, max_length: int) -> None:
        super().__init__()
        if pooling == "mean" and getattr(network, "pooler", None) is not None:
            network.pooler = None  # type: ignore[assignment]  # not read; it must not train or count
        self.network = network
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.max_length = max_length
        config: Any = network.config
        self.config = config
        self.family = f"{config.model_type}-embeddings"
        self.rates = RATES
        self._blocks = find_blocks(network)
        self._final = last_linear(network, int(config.num_labels)) if pooling == "head" else None
        self.width = int(config.hidden_size) if self._final is None else self._final.in_features

    def embed(self, batch: Batch) -> Batch:
        """Strings to token embeddings (B, T, D) with the mask (B, T); a batch already embedded passes."""
        if batch.space == self.family:
            return batch
        if not isinstance(batch.x, tuple):
            raise RequestError(
                f"model: a text encoder ({self.config.model_type}) expects texts, got pictures; "
                "choose an image model or another data set"
            )
        # No token at all (an empty text) still has the special tokens, so the mean always has a row.
        coded = self.tokenizer(
            list(batch.x), padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        device = feature_device(self.network)
        lookup: Any = self.network.get_input_embeddings()  # type: ignore[operator]
        x = lookup(coded["input_ids"].to(device))
        mask = coded["attention_mask"].to(device).bool()
        return Batch(x=x, y=batch.y, ids=batch.ids, group=batch.group, mask=mask, space=self.family)

    def encode(self, batch: Batch, hidden: Sequence[int] = ()) -> Encoded:
        """Features (B, D) and block outputs (B, T, D)."""
        batch = self.embed(batch)
        assert isinstance(batch.x, Tensor)
        assert batch.mask is not None
        with capture(self._blocks, hidden) as found:
            if self._final is not None:
                features = self._classifier_input(batch.x, batch.mask)
            else:
                out = self.network(inputs_embeds=batch.x, attention_mask=batch.mask.long())
                features = masked_mean(out.last_hidden_state, batch.mask)
                features = nn.functional.layer_norm(features, (self.width,), eps=mean_export.EPS)
        return Encoded(features, found, batch.mask)

    def _classifier_input(self, x: Tensor, mask: Tensor) -> Tensor:
        assert self._final is not None
        kept: list[Tensor] = []
        handle = self._final.register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
        try:
            self.network(inputs_embeds=x, attention_mask=mask.long())
        finally:
            handle.remove()
        return kept[0]

    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers."""
        return self._blocks

    def taps(self) -> tuple[int, ...]:
        """Layers at depths 1/4, 1/2, 3/4 and 1."""
        return depth_fractions(len(self._blocks))

    def save(self, folder: Path, weight: Tensor, bias: Tensor, classes: Sequence[str]) -> None:
        """A folder that `AutoModelForSequenceClassification` and `AutoTokenizer` load."""
        labels = dict(enumerate(classes))
        if self._final is not None:
            if self._final.out_features != len(classes):
                self._final = replace_final(self.network, self._final, len(classes))
            with torch.no_grad():
                self._final.weight.copy_(weight)
                self._final.bias.copy_(bias)
            whole: Any = self.network
        else:
            whole = mean_export.classifier(self.network, weight, bias)
        whole.config.id2label = labels
        whole.config.label2id = {name: i for i, name in labels.items()}
        whole.config.num_labels = len(classes)
        whole.config.problem_type = "single_label_classification"
        whole.save_pretrained(folder)
        self.tokenizer.model_max_length = self.max_length
        self.tokenizer.save_pretrained(folder)


def replace_final(network: nn.Module, final: nn.Linear, outputs: int) -> nn.Linear:
    """Swap the classification layer for one with another number of classes."""
    fresh = nn.Linear(final.in_features, outputs).to(final.weight.device)
    name = next(n for n, m in network.named_modules() if m is final)
    parent = network.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], fresh)
    return fresh


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the valid tokens: (B, T, D), (B, T) -> (B, D)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * weights).sum(1) / weights.sum(1)


def find_blocks(network: nn.Module) -> list[nn.Module]:
    """The longest list of like modules in the network: its transformer layers."""
    lists = [m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) > 0]
    alike = [list(m) for m in lists if len({type(layer) for layer in m}) == 1]
    if not alike:
        raise RequestError(f"found no list of transformer layers in {type(network).__name__}")
    return max(alike, key=len)
