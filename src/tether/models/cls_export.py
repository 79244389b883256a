"""A linear head on the first token, written as the library's own classification class.

Those classes put a dense layer and a non-linearity between the first token h and the linear layer, which is
turned into an identity in two ways:

- tanh (BERT, RoBERTa): dense = 2^-14 times the identity, and the linear layer carries the 2^14 back;
  tanh(x) is x to 1e-6 relative there. A power of two, so that the scaling is exact;
- relu and gelu (DistilBERT, DeBERTa, ELECTRA): dense = identity plus a shift K that makes every entry so
  positive that both are the identity, and the linear layer's bias takes W K away again. K bounds |h|: the
  layer norm that h leaves has gain g and shift b, so |h| <= max|g| sqrt(D) + max|b|. The cost is a rounding
  of K 2^-24.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

TANH_SCALE = 2.0**-14
# Families whose head is dense, this, out_proj.
OUT_PROJ = {"roberta": "tanh", "xlm-roberta": "tanh", "camembert": "tanh", "electra": "gelu"}
GELU_MARGIN = 8.0  # gelu(x) is x in single precision from here on


def dense_and_final(whole: Any) -> tuple[nn.Linear, nn.Linear, str] | None:
    """The dense layer, the linear layer and the non-linearity between them; None for another layout."""
    body = getattr(whole, whole.base_model_prefix)
    top: Any = getattr(whole, "classifier", None)
    kind = whole.config.model_type
    if isinstance(getattr(whole, "pre_classifier", None), nn.Linear):  # DistilBERT
        return whole.pre_classifier, top, "relu"
    if isinstance(getattr(getattr(whole, "pooler", None), "dense", None), nn.Linear):  # DeBERTa
        act = str(getattr(whole.config, "pooler_hidden_act", ""))
        return (whole.pooler.dense, top, act) if act in ("gelu", "relu") else None
    if isinstance(top, nn.Linear) and kind == "bert":
        return body.pooler.dense, top, "tanh"
    if isinstance(getattr(top, "out_proj", None), nn.Linear) and kind in OUT_PROJ:
        return top.dense, top.out_proj, OUT_PROJ[kind]
    return None


def classifier(network: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module | None:
    """A `...ForSequenceClassification` equal to linear(first token of network), or None if there is none.

    Args:
        network: a bare encoder of the transformers library.
        weight: (C, D) of the linear head.
        bias: (C,).
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING as CLASSES
    from transformers import AutoModelForSequenceClassification

    given: Any = network
    if type(given.config) not in CLASSES:
        return None
    config = copy.deepcopy(given.config)
    config.num_labels = int(weight.shape[0])
    whole: Any = AutoModelForSequenceClassification.from_config(config).eval()
    found = dense_and_final(whole)
    if found is None:
        return None
    body = getattr(whole, whole.base_model_prefix)
    state = {k: v.detach().cpu() for k, v in network.state_dict().items() if not k.startswith("pooler.")}
    missing, unexpected = body.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(k.startswith("pooler.") for k in missing), missing
    linear_top(found, body, weight, bias)
    classification: nn.Module = whole
    return classification


def linear_top(
    found: tuple[nn.Linear, nn.Linear, str], body: nn.Module, weight: Tensor, bias: Tensor
) -> None:
    """Make dense, non-linearity and linear layer together the linear map weight (C, D), bias (C,)."""
    dense, final, act = found
    weight, bias = weight.detach().cpu(), bias.detach().cpu()
    scale, shift = (TANH_SCALE, 0.0) if act == "tanh" else (1.0, bound(body) + GELU_MARGIN)
    with torch.no_grad():
        dense.weight.copy_(torch.eye(dense.out_features) * scale)
        dense.bias.fill_(shift)
        final.weight.copy_(weight / scale)
        final.bias.copy_(bias.double() - weight.double().sum(1) * shift)


def bound(body: nn.Module) -> float:
    """The largest |h| that the network's last layer norm lets through, as a power of two."""
    last = [m for m in body.modules() if isinstance(m, nn.LayerNorm)][-1]
    gain, offset = last.weight.detach().abs().max(), last.bias.detach().abs().max()
    most = float(gain) * last.normalized_shape[0] ** 0.5 + float(offset)
    return float(2.0 ** torch.tensor(most).log2().ceil().item())
