"""The parts of the packaged two-tower recipe, without its weights; tests/integration builds the real one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tether.models.emoji_two_tower import TEMPLATE, assemble, contrastive, jitter, text_features
from tether.models.text import masked_mean
from tiny import tiny_bert


def unit(seed: int, n: int, d: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, d, generator=g), dim=-1)


def test_contrastive_equals_a_plain_loop() -> None:
    image, text, scale = unit(0, 4, 6), unit(1, 4, 6), 5.0
    z = [[scale * float(image[i] @ text[j]) for j in range(4)] for i in range(4)]
    rows = [-z[i][i] + math.log(sum(math.exp(v) for v in z[i])) for i in range(4)]
    columns = [-z[i][i] + math.log(sum(math.exp(z[k][i]) for k in range(4))) for i in range(4)]
    got = contrastive(image, text, torch.tensor(scale))
    assert got.item() == pytest.approx((sum(rows) + sum(columns)) / 8, rel=1e-5)


def test_two_pictures_of_one_name_are_no_negatives() -> None:
    text = unit(1, 4, 6)
    text[3] = text[0]
    best = contrastive(text, text, torch.tensor(200.0))  # every picture sits on its own text
    assert best.item() == pytest.approx(2 * math.log(2) / 4, abs=1e-3)  # the shared one costs ln 2, twice


def test_jitter_keeps_shape_range_and_white_surroundings() -> None:
    white = torch.ones(3, 3, 16, 16)
    moved = jitter(white, torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved, white)
    picture = white.clone()
    picture[:, :, 6:10, 6:10] = 0.0
    moved = jitter(picture, torch.Generator().manual_seed(0))
    assert moved.shape == picture.shape
    assert 0 <= moved.min() < 0.5
    assert moved.max() <= 1
    assert not torch.allclose(moved[0], moved[1])


def test_the_text_tower_gives_the_sentence_embedding(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer, Dinov2Config, Dinov2Model

    text = tiny_bert(tmp_path / "bert")
    torch.manual_seed(0)
    vision = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    Dinov2Model(vision).save_pretrained(tmp_path / "dino")
    whole = assemble(text, tmp_path / "dino")
    names = ["good film", "very poor day"]
    with torch.no_grad():
        got = text_features(whole, text, names)
        network, tokenizer = AutoModel.from_pretrained(text).eval(), AutoTokenizer.from_pretrained(text)
        coded = tokenizer([TEMPLATE.format(n) for n in names], padding=True, return_tensors="pt")
        mean = masked_mean(network(**coded).last_hidden_state, coded["attention_mask"].bool())
    want = torch.nn.functional.layer_norm(mean, (16,), eps=1e-12)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3)
