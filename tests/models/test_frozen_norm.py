"""A frozen batch norm is its own affine map: same numbers, same gradients, less kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tether.models.frozen_norm import FrozenNorm2d, freeze_norms


def network() -> nn.Sequential:
    torch.manual_seed(3)
    made = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, eps=1e-3), nn.SiLU(), nn.Conv2d(6, 4, 1))
    norm = made[1]
    with torch.no_grad():
        norm.weight.uniform_(-2, 2)
        norm.bias.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 3)
    return made.requires_grad_(False).eval()


def pair() -> tuple[nn.Sequential, nn.Sequential]:
    plain = network()
    frozen = copy.deepcopy(plain)
    freeze_norms(frozen)
    assert type(frozen[1]) is FrozenNorm2d
    assert type(plain[1]) is nn.BatchNorm2d
    return plain, frozen


def saved_bytes(made: nn.Module, x: torch.Tensor) -> int:
    kept: dict[int, int] = {}

    def keep(t: torch.Tensor) -> torch.Tensor:
        kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        made(x)
    return sum(kept.values())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_outputs_and_gradients_are_those_of_torchs_layer(layout: torch.memory_format) -> None:
    plain, frozen = pair()
    x = torch.randn(5, 3, 8, 8).contiguous(memory_format=layout)
    outs, grads = [], []
    for made in (plain, frozen):
        mine = x.clone().requires_grad_()
        out = made(mine)
        out.square().sum().backward()
        outs.append(out.detach())
        grads.append(mine.grad)
    assert torch.allclose(outs[0], outs[1], rtol=1e-5, atol=1e-6)
    assert torch.allclose(grads[0], grads[1], rtol=1e-5, atol=1e-4)


def test_its_input_is_not_kept_for_the_way_back() -> None:
    plain, frozen = pair()
    x = torch.randn(5, 3, 8, 8, requires_grad=True)
    one = 5 * 6 * 6 * 6 * 4  # bytes of the layer's input, float32
    assert saved_bytes(plain, x) - saved_bytes(frozen, x) > 0.9 * one


def test_names_and_parameters_stay() -> None:
    plain, frozen = pair()
    assert plain.state_dict().keys() == frozen.state_dict().keys()
    assert isinstance(copy.deepcopy(frozen)[1], nn.BatchNorm2d)


@pytest.mark.parametrize("how", ["scale trains", "train mode", "no statistics", "bf16"])
def test_what_needs_the_layer_itself_gets_it(how: str) -> None:
    plain, frozen = pair()
    x = torch.randn(5, 3, 8, 8)
    for made in (plain, frozen):
        norm = made[1]
        if how == "scale trains":
            norm.weight.requires_grad_(True)
        elif how == "train mode":
            norm.train()
        elif how == "no statistics":
            norm.running_mean = norm.running_var = None
    if how == "bf16":
        x = x.bfloat16()
        plain[0].bfloat16(), frozen[0].bfloat16(), plain[3].bfloat16(), frozen[3].bfloat16()
    a, b = plain(x), frozen(x)
    assert torch.equal(a, b)
    if how == "scale trains":
        b.sum().backward()
        assert frozen[1].weight.grad is not None
    if how == "train mode":
        assert torch.equal(plain[1].running_mean, frozen[1].running_mean)


def test_a_layer_of_one_dimension_too() -> None:
    plain = nn.BatchNorm1d(4).requires_grad_(False).eval()
    with torch.no_grad():
        plain.running_mean.normal_()
    holder = nn.Sequential(copy.deepcopy(plain))
    freeze_norms(holder)
    for shape in ((3, 4), (3, 4, 7)):
        x = torch.randn(*shape)
        assert torch.allclose(plain(x), holder(x), atol=1e-6)
