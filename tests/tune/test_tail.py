"""Which blocks a fraction of the parameters buys, and what trains there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import tether
from tether import tune
from tether.errors import RequestError
from tether.models.branch import Branch
from tether.models.heads import LinearHead
from tether.models.model import MAIN, Model
from tether.models.zero_shot import ZeroShotHead
from tiny import tiny_batch, tiny_model


class Stack(nn.Module):
    """A stem of 10 x 10 weights, n blocks of 100, a final norm of 20."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.stem = nn.Linear(10, 10, bias=False)
        self.blocks = nn.ModuleList(nn.Linear(10, 10, bias=False) for _ in range(n))
        self.norm = nn.LayerNorm(10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x.flatten(1)[:, :10])
        for block in self.blocks:
            x = torch.tanh(block(x)) + x
        return self.norm(x)


def stack(n: int = 8, head: nn.Module | None = None) -> Model:
    torch.manual_seed(0)
    backbone = tether.wrap(Stack(n), width=10)
    return Model(backbone, {MAIN: head or LinearHead(10, 3)}, ("a", "b", "c")).eval()


def by_hand(n: int, fraction: float) -> int:
    """Numbers of M_s + head over all, written out: the smallest k within the fraction."""
    total = 100 + 100 * n + 20 + 33
    for k in range(n + 1):
        tail = (100 * (n - k) if k else total - 33 - 20) + 20 + 33
        if tail / total <= fraction:
            return k
    return n


@pytest.mark.parametrize("fraction", [0.06, 0.1, 0.2, 0.25, 0.5, 0.9, 1.0])
def test_the_smallest_split_within_the_fraction(fraction: float) -> None:
    model = stack()
    groups = tune.tail(fraction).apply(model)
    k = by_hand(8, fraction)
    blocks = model.backbone.blocks()
    assert [all(p.requires_grad for p in b.parameters()) for b in blocks] == [False] * k + [True] * (8 - k)
    assert model.backbone.network.stem.weight.requires_grad == (k == 0)
    assert all(p.requires_grad for p in model.backbone.network.norm.parameters())
    trained, _ = model.parameter_counts()
    assert trained == sum(p.numel() for group in groups.values() for p in group)
    assert model.dropout is None
    assert list(model.heads) == [MAIN]


def test_where_nothing_is_within_the_fraction_the_least_trains_and_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = stack()
    tune.tail(0.01).apply(model)
    assert not any(p.requires_grad for b in model.backbone.blocks() for p in b.parameters())
    assert all(p.requires_grad for p in model.backbone.network.norm.parameters())
    assert "more than the fraction of 1%" in capsys.readouterr().err


def test_head_sections_are_the_last_block_where_that_leaves_one_to_share() -> None:
    model = stack()
    tune.tail(0.4, 0.1, ("combined", "unclean")).apply(model)  # three blocks
    assert model.dropout.start == 5
    for name in ("combined", "unclean"):
        branch = model.heads[name]
        assert isinstance(branch, Branch)
        assert set(branch.section) == {"blocks/7/weight", "norm/weight", "norm/bias"}
        assert branch.section["norm/weight"] is not model.backbone.network.norm.weight
    narrow = stack()
    tune.tail(0.2, 0.1, ("combined", "unclean")).apply(narrow)  # one block: no room for M_s beside it
    assert all(isinstance(narrow.heads[n], LinearHead) for n in ("combined", "unclean"))


def test_a_convolutional_network_s_head_section_is_the_classifier() -> None:
    model = tiny_model()
    tune.tail(0.99, 0.1, ("combined", "unclean")).apply(model)
    assert all(isinstance(h, LinearHead) for h in model.heads.values())
    assert len({id(h.weight) for h in model.heads.values()}) == 3


def test_all_heads_say_the_same_at_the_start() -> None:
    model = stack()
    before = model(tiny_batch(4)).logits[MAIN]
    tune.tail(0.4, 0.1, ("combined", "unclean")).apply(model)
    model.eval()
    for logits in model(tiny_batch(4)).logits.values():
        assert torch.equal(logits, before)


def test_under_a_zero_shot_head_sections_differ_and_class_weights_stay() -> None:
    def zero_shot() -> ZeroShotHead:
        return ZeroShotHead(torch.randn(3, 10, generator=torch.Generator().manual_seed(0)), 1.0)

    model = stack(head=zero_shot())
    groups = tune.tail(0.2, 0.1, ("combined", "unclean")).apply(model)  # one block: the top alone
    assert "head" not in groups
    assert set(model.heads["unclean"].section) == {"norm/weight", "norm/bias"}
    assert not any(p.requires_grad for n, p in model.named_parameters() if "head" in n and "section" not in n)
    with pytest.raises(RequestError, match="use section=block"):
        tune.tail(0.2, 0.1, ("combined",), "classifier").apply(stack(head=zero_shot()))


@pytest.mark.parametrize(("fraction", "dropout"), [(0.0, 0.1), (1.1, 0.1), (0.1, 1.0), (0.1, -0.1)])
def test_what_makes_no_sense_is_refused(fraction: float, dropout: float) -> None:
    with pytest.raises(RequestError, match=r"method\.(fraction|dropout): expected"):
        tune.tail(fraction, dropout)


def test_on_a_text_model(tmp_path: Path) -> None:
    from tether.models.config import ModelConfig
    from tether.models.load import load_backbone
    from tiny import tiny_bert

    loaded = load_backbone(ModelConfig(name=str(tiny_bert(tmp_path / "b", layers=4))))
    model = Model(loaded.backbone, {MAIN: LinearHead(16, 2)}, ("no", "yes"))
    tune.tail(0.8, 0.1, ("combined", "unclean")).apply(model)
    k = model.dropout.start
    assert 1 <= k < 3
    trained = {n for n, p in loaded.backbone.network.named_parameters() if p.requires_grad}
    assert {n.split(".")[2] for n in trained} == {str(i) for i in range(k, 4)}
    assert isinstance(model.heads["unclean"], Branch)
