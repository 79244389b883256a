"""Passes that skip what stands before dropout give what whole passes give, to the bit, on every adapter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_prefix import CASES
from torch import nn

from tether.models.backbone import Backbone
from tether.models.dropout import install
from tether.models.undropped import undropped_once
from tether.shifts import Draws


@pytest.mark.parametrize("above", [1, 0], ids=["last block", "head alone"])
@pytest.mark.parametrize("case", CASES)
def test_passes_are_those_of_whole_networks(case: str, above: int, tmp_path: Path) -> None:
    backbone, batch = CASES[case](tmp_path)
    start = len(backbone.blocks()) - above
    head = nn.Identity()
    layer = install(backbone, nn.ModuleDict({"main": head}), 0.2, start)
    batch = backbone.embed(batch)
    ran: list[str] = []
    for name, module in backbone.network.named_modules():
        if not list(module.children()):
            original = module.forward

            def noted(*args, original=original, name=name, **kwargs):
                ran.append(name)
                return original(*args, **kwargs)

            module.forward = noted

    def a_pass(s: int) -> torch.Tensor:
        with layer.passing(Draws(0, s), batch.ids):
            features: torch.Tensor = head(backbone.encode(batch).features)
            return features

    with torch.no_grad():
        whole = [a_pass(s) for s in range(4)]
        every, ran[:] = len(ran) // 4, []
        with layer.repeated(backbone) as repeated:
            first = a_pass(0)
            assert len(ran) == every
            repeated.settle()
            ran.clear()
            rest = [a_pass(s) for s in range(1, 4)]
            # Frozen blocks are left to `once`; of the rest, less runs than in whole passes.
            frozen = sum(name_in(backbone, start, name) for name in ran)
            whole_rest = 3 * every - frozen
            assert whole_rest == 0 or len(ran) - frozen < whole_rest
        again = a_pass(2)
    for mine, theirs in zip([first, *rest], whole, strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(again, whole[2])  # afterwards everything runs as before
    assert not torch.equal(whole[0], whole[1])


def name_in(backbone: Backbone, start: int, name: str) -> bool:
    """Whether a module of the network lies in its frozen blocks."""
    module = backbone.network.get_submodule(name)
    return any(module is m for block in backbone.blocks()[:start] for m in block.modules())


class Twice(nn.Module):
    """A layer called twice, one whose output is then changed in place, and one that may stay."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.changed, self.stays = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shared(self.shared(x))
        y = self.changed(x)
        y += x
        return self.stays(y)


def test_what_cannot_be_told_apart_or_was_changed_runs_again() -> None:
    torch.manual_seed(0)
    block, x = Twice(), torch.randn(3, 4)
    with torch.no_grad():
        plain = block(x)
        with undropped_once([*block.children()], lambda: False) as repeated:
            assert torch.equal(block(x), plain)
            repeated.settle()
            assert set(repeated.answers) == {block.stays}
            assert torch.equal(block(x), plain)
    assert "forward" not in vars(block.stays)


def test_nothing_that_dropout_preceded_is_kept() -> None:
    torch.manual_seed(0)
    block, x = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), torch.randn(3, 4)
    dropped: list[bool] = []
    block[1].register_forward_pre_hook(lambda *_: dropped.append(True))
    with torch.no_grad(), undropped_once([*block], lambda: bool(dropped)) as repeated:
        block(x)
        repeated.settle()
        assert set(repeated.answers) == {block[0]}
