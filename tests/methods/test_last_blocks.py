"""The upper blocks within a share of the parameters: which they are, and what stays untouched."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tether
from tether import tune
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.tune.last_blocks import following
from tiny import tiny_bert, tiny_model


class Tower(nn.Module):
    """Four blocks between a stem and a norm; parameters: stem 32, block 72, norm 16."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)  # defined first, run last: order is seen, not read off
        self.stem = nn.Linear(3, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x.mean((2, 3)))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def tower(blank: bool = True) -> Model:
    network = Tower()
    backbone = tether.wrap(network, width=8, blocks=list(network.blocks))
    if blank:
        from tiny import tiny_batch

        backbone.blank = lambda: tiny_batch(1)  # type: ignore[attr-defined]
    return Model(backbone, {"main": random_head(8, 2, 0)}, ("a", "b"))  # head 18, all 354


def trained(model: Model) -> set[str]:
    return {n for n, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("fraction", "blocks"),
    # norm and head take 34 of 354; each block 72 more
    [(0.0, 0), (0.29, 0), (106 / 354, 1), (0.5, 1), (178 / 354, 2), (0.9, 3), (1.0, 4)],
)
def test_the_most_blocks_that_stay_within_the_share(fraction: float, blocks: int) -> None:
    model = tower()
    groups = tune.last_blocks(fraction).apply(model)
    want = {"heads.main.weight", "heads.main.bias"}
    if blocks:
        want |= {"backbone.network.norm.weight", "backbone.network.norm.bias"}
    for i in range(4 - blocks, 4):
        want |= {f"backbone.network.blocks.{i}.{part}" for part in ("weight", "bias")}
    assert trained(model) == want
    counted = sum(p.numel() for part in groups.values() for p in part)
    assert counted == model.parameter_counts()[0]
    assert counted <= max(fraction * 354, 18)


def test_what_runs_after_the_blocks_is_seen_in_a_forward_pass() -> None:
    assert {p.shape for p in following(tower())} == {(8,)}
    assert len(following(tower())) == 2
    assert following(tiny_model()) == []  # no blank input to look with


def test_a_real_text_encoder_trains_its_last_layer_and_none_below(tmp_path) -> None:
    backbone = load_backbone(ModelConfig(name=str(tiny_bert(tmp_path / "bert")))).backbone
    model = Model(backbone, {"main": random_head(16, 2, 0)}, ("a", "b"))
    tune.last_blocks(0.5).apply(model)
    names = trained(model)
    assert any("layer.1." in n for n in names)
    assert not any("layer.0." in n or "embeddings" in n for n in names)
    assert 0 < model.parameter_counts()[0] <= 0.5 * model.parameter_counts()[1]


@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_no_share_is_refused(fraction: float) -> None:
    with pytest.raises(RequestError, match=r"\[0, 1\]"):
        tune.last_blocks(fraction)
