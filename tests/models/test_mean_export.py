"""The exported class must compute what the backbone computes, for each layout it claims to support."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.mean_export import classifier, supported
from tether.models.text import masked_mean
from tiny import WORDS, tiny_bert, tiny_texts


def test_saved_classifier_gives_the_same_logits_for_every_padding(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    backbone = load_backbone(ModelConfig(name=str(tiny_bert(tmp_path / "bert")))).backbone
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(3, backbone.width, generator=g), torch.randn(3, generator=g)
    batch = tiny_texts(8)
    with torch.no_grad():
        want = backbone.encode(batch).features @ weight.T + bias
    backbone.save(tmp_path / "model", weight, bias, ["a", "b", "c"])

    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    with torch.no_grad():
        for pad_to in (24, 32):
            coded = tokenizer(list(batch.x), padding="max_length", max_length=pad_to, return_tensors="pt")
            torch.testing.assert_close(loaded(**coded).logits, want, rtol=1e-4, atol=1e-4)
    assert loaded.config.id2label == {0: "a", 1: "b", 2: "c"}


def test_roberta_layout() -> None:
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    network = RobertaModel(config, add_pooling_layer=False).eval()
    assert supported(network)
    g = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(2, 16, generator=g), torch.randn(2, generator=g)
    ids = torch.tensor([[5, 6, 7, 8], [5, 9, 1, 1]])
    mask = (ids != 1).long()
    with torch.no_grad():
        mean = masked_mean(network(ids, attention_mask=mask).last_hidden_state, mask.bool())
        want = torch.nn.functional.layer_norm(mean, (16,), eps=1e-12) @ weight.T + bias
        got = classifier(network, weight, bias)(ids, attention_mask=mask).logits
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_another_layout_is_refused_with_what_to_do() -> None:
    from transformers import DistilBertConfig, DistilBertModel

    network = DistilBertModel(
        DistilBertConfig(vocab_size=len(WORDS), dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    )
    assert not supported(network)
    with pytest.raises(RequestError, match="pooling=head"):
        classifier(network, torch.zeros(2, 16), torch.zeros(2))
