"""The zero-shot head by a second road: plain loops, and CLIP's own forward pass."""

from __future__ import annotations

import math

import pytest
import torch

from tether.errors import RequestError
from tether.finish import interpolate, trained_state
from tether.models.heads import LinearHead
from tether.models.model import MAIN, Model
from tether.models.zero_shot import ZeroShotHead, class_embeddings
from tiny import TinyImages, tiny_batch


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_logits_by_a_plain_loop() -> None:
    w, phi = random(3, 5), random(2, 5, seed=1)
    got = ZeroShotHead(w, math.log(50.0), -3.0)(phi)
    for i in range(2):
        for c in range(3):
            cosine = sum(a * b for a, b in zip(phi[i].tolist(), w[c].tolist(), strict=True))
            cosine /= math.hypot(*phi[i].tolist()) * math.hypot(*w[c].tolist())
            assert got[i, c].item() == pytest.approx(50.0 * cosine - 3.0, abs=1e-4)


def test_class_embeddings_are_the_normalised_mean_of_normalised_templates() -> None:
    words = {"a photo of a red fox.": random(4) * 9, "red fox": random(4, seed=2)}

    def encode(texts: list[str]) -> torch.Tensor:
        return torch.stack([words[t] for t in texts])

    got = class_embeddings(encode, ["red_fox"], ["a photo of a {}.", "{}"])
    a, b = (v / v.norm() for v in words.values())
    torch.testing.assert_close(got[0], (a + b) / (a + b).norm())


def test_a_template_without_a_place_is_refused() -> None:
    with pytest.raises(RequestError, match="templates"):
        class_embeddings(lambda t: random(len(t), 3), ["a"], ["a photo"])


def test_interpolation_is_of_raw_weights_and_of_the_logarithm_of_the_scale() -> None:
    model = Model(TinyImages(), {MAIN: ZeroShotHead(random(3, 8), math.log(4.0))}, ("a", "b", "c")).eval()
    for p in model.backbone.network.parameters():
        p.requires_grad_(False)
    start = trained_state(model)
    with torch.no_grad():
        model.heads[MAIN].weight.copy_(random(3, 8, seed=5) * 3)
        model.heads[MAIN].log_scale.fill_(math.log(16.0))
    end = trained_state(model)
    phi = model(tiny_batch()).features
    interpolate(model, start, end, 0.5)
    raw = (random(3, 8) + random(3, 8, seed=5) * 3) / 2
    want = 8.0 * (phi / phi.norm(dim=1, keepdim=True)) @ (raw / raw.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(model(tiny_batch()).logits[MAIN], want, rtol=1e-5, atol=1e-5)


def test_the_common_bias_does_not_train_and_changes_no_probability() -> None:
    w, phi = random(3, 5), random(2, 5, seed=1)
    with_bias, without = ZeroShotHead(w, 1.0, -7.0), ZeroShotHead(w, 1.0)
    torch.testing.assert_close(with_bias(phi).softmax(-1), without(phi).softmax(-1))
    assert {n for n, _ in with_bias.named_parameters()} == {"weight", "log_scale"}


def test_a_linear_head_without_bias_has_none_to_train_or_to_fold() -> None:
    head = LinearHead(5, 3, bias=False)
    assert {n for n, _ in head.named_parameters()} == {"weight"}
    assert head.folded()[1].abs().sum() == 0
