"""Masked mean pooling written as one more transformer layer.

A sentence encoder's embedding is the masked mean of its token states, but the classification classes of the
BERT family read the first token through a tanh pooler. Saving "encoder + mean + linear" as such a class needs
no custom code, because attention can compute a mean: in one added layer

- query and key are 0, so every valid token gets the same attention weight and padding none;
- value is the identity, so each position receives the masked mean m of the token states;
- the output projection is K times the identity with K = 2^22, so the residual x + K m is K m up to 2e-7,
  and the layer norm (gain 1, shift 0) turns it into norm(m);
- the feed-forward part is 0, and the second layer norm of an already normalised vector is the identity.

What follows reads the first token, and is made linear by `cls_export`. Powers of two make the scalings exact
in floating point.
Limits: half precision (fp16) overflows at K; load such a folder in fp32 or bf16.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from tether.errors import RequestError
from tether.models.cls_export import OUT_PROJ, dense_and_final, linear_top

EPS = 1e-12  # of the pooled normalisation; the added layer uses the same
RESIDUAL_SCALE = 2.0**22


def supported(network: nn.Module) -> bool:
    """Whether the network is laid out as BERT's, `encoder.layer[i].attention.self.query` and so on.

    Its classification head must also be one that `cls_export` can make linear.
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES

    config: Any = getattr(network, "config", None)
    layers = getattr(getattr(network, "encoder", None), "layer", None)
    return (
        type(config) in CLASSES
        and config.model_type in ("bert", *OUT_PROJ)
        and layers is not None
        and hasattr(layers[0], "attention")
        and hasattr(layers[0].attention, "self")
        and hasattr(layers[0].attention.self, "query")
        and getattr(config, "hidden_act", "") in ("gelu", "relu", "silu", "gelu_new")
    )


def classifier(network: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    """A `...ForSequenceClassification` equal to linear(norm(masked mean(network))).

    Args:
        network: an encoder laid out as BERT's.
        weight: (C, D) of the linear head.
        bias: (C,).

    Raises:
        RequestError: when the architecture has no such layout.
    """
    from transformers import AutoModelForSequenceClassification

    if not supported(network):
        raise RequestError(
            f"{type(network).__name__} with mean pooling cannot be written as its library's classification "
            "class; expected a network laid out as BERT's; use pooling=head"
        )
    config: Any = copy.deepcopy(network.config)
    config.num_hidden_layers += 1
    config.num_labels = int(weight.shape[0])
    whole: Any = AutoModelForSequenceClassification.from_config(config).eval()
    body: Any = getattr(whole, whole.base_model_prefix)
    state = {k: v.detach().cpu() for k, v in network.state_dict().items() if not k.startswith("pooler.")}
    missing, unexpected = body.load_state_dict(state, strict=False)
    added = f"encoder.layer.{config.num_hidden_layers - 1}."
    assert not unexpected, unexpected
    assert all(k.startswith((added, "pooler.")) for k in missing), missing
    with torch.no_grad():
        _mean_layer(body.encoder.layer[-1])
    found = dense_and_final(whole)
    assert found is not None
    linear_top(found, body, weight, bias)
    classification: nn.Module = whole
    return classification


def _identity(linear: nn.Linear, scale: float) -> None:
    linear.weight.copy_(torch.eye(linear.out_features) * scale)
    linear.bias.zero_()


def _mean_layer(layer: Any) -> None:
    attention = layer.attention
    for zero in (attention.self.query, attention.self.key, layer.intermediate.dense, layer.output.dense):
        zero.weight.zero_()
        zero.bias.zero_()
    _identity(attention.self.value, 1.0)
    _identity(attention.output.dense, RESIDUAL_SCALE)
    for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
        norm.weight.fill_(1.0)
        norm.bias.zero_()
