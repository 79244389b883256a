from __future__ import annotations

from tether import tune
from tether.models.backbone import depth_fractions
from tether.tune.targets import targets
from tiny import tiny_batch, tiny_model


def test_the_base_stays_in_eval_mode_while_heads_follow() -> None:
    model = tiny_model().train()
    assert model.heads["main"].training
    assert not any(m.training for m in model.backbone.network.modules())
    # the tiny network has a dropout of one half: two passes agree only if it is off
    assert (model(tiny_batch()).features == model(tiny_batch()).features).all()


def test_lora_dropout_follows_the_mode() -> None:
    model = tiny_model()
    tune.lora(rank=2, dropout=0.5).apply(model)
    model.train()
    parts = [m for n, m in model.backbone.network.named_modules() if "lora_dropout" in n]
    assert parts
    assert all(m.training for m in parts)
    model.eval()
    assert not any(m.training for m in parts)


def test_lora_targets_skip_depthwise_stem_and_head() -> None:
    model = tiny_model()
    adapted, left_out = targets(model.backbone.network, model.backbone.blocks())
    assert adapted == ["blocks.0.2", "blocks.1.0"]
    assert left_out == ["blocks.0.0"]


def test_parameter_counts() -> None:
    model = tiny_model()
    tune.heads().apply(model)
    total = sum(p.numel() for p in model.parameters())
    assert model.parameter_counts() == (8 * 3 + 3, total)
    tune.nothing().apply(model)
    assert model.parameter_counts() == (0, total)
    tune.full().apply(model)
    assert model.parameter_counts() == (total, total)


def test_depth_fractions_of_the_specification() -> None:
    assert depth_fractions(12) == (2, 5, 8, 11)  # ViT-B: blocks 3, 6, 9, 12
    assert depth_fractions(6) == (1, 2, 4, 5)  # MiniLM-L6: layers 2, 3, 5, 6
    assert depth_fractions(1) == (0,)
