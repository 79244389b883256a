from __future__ import annotations

import pytest
import torch
from contract import stirred
from torch import nn

from tether.errors import RequestError
from tether.models.discover import find_blocks, is_convolutional, stage_ends, take_off
from tether.models.peft_layers import fit_in, in_peft_terms, output_factor
from tether.tune.targets import targets


class Staged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(4, 4) for _ in range(9)])}) for _ in range(3)]
        )


def test_stages_win_over_the_longer_list_inside_one() -> None:
    network = Staged()
    assert find_blocks(network) == list(network.stages)


def test_no_blocks_is_a_request_error() -> None:
    with pytest.raises(RequestError, match=r"blocks=\[\.\.\.\]"):
        find_blocks(nn.Linear(2, 2))


def test_stage_ends_by_size_and_by_depth() -> None:
    maps = {i: torch.zeros(1, 2, s, s) for i, s in enumerate((32, 16, 16, 8, 4, 4, 4, 2))}
    assert stage_ends(maps) == (2, 3, 6, 7)
    assert stage_ends({i: torch.zeros(1, 5, 8) for i in range(12)}) == (2, 5, 8, 11)


def test_take_off_hears_what_the_layer_would_get() -> None:
    network = stirred(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
    x = torch.randn(2, 4)
    want = network(x)
    slot, (weight, bias) = take_off(network, 3)
    with slot.listen() as heard:
        network(x)
    torch.testing.assert_close(heard[0] @ weight.T + bias, want)
    assert sum(p.numel() for p in network.parameters()) == 4 * 6 + 6


class Odd(nn.Module):
    """A linear layer that is more than one, and convolutions that peft would get wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            [
                nn.Conv2d(4, 4, 3, dilation=2),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
                nn.Conv2d(4, 4, 3, groups=4),
                Scaled(4, 4),
                nn.Conv2d(4, 4, 1),
                nn.MultiheadAttention(4, 2),
                nn.MultiheadAttention(4, 2, kdim=6, vdim=6),
            ]
        )


class Scaled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_targets_are_what_a_product_b_a_can_stand_beside() -> None:
    network = Odd()
    adapted, left_out = targets(network, list(network.block))
    assert adapted == ["block.4", "block.5"]
    assert left_out == ["block.0", "block.1", "block.2", "block.3", "block.6"]
    assert is_convolutional(list(network.block))


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.attn(x, x, x, need_weights=False)[0]
        return y


def adapted_attention() -> tuple[torch.nn.Module, Attends, torch.Tensor]:
    """A wrapped attention with random adapters, a plain one with W + s B A written out, and an input."""
    import peft

    torch.manual_seed(0)
    plain = Attends().eval()
    reference = Attends().eval()
    reference.load_state_dict(plain.state_dict())
    wrapped = peft.get_peft_model(plain, peft.LoraConfig(r=2, lora_alpha=6, target_modules="attn"))
    fit_in(wrapped)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_()
        layers = dict(wrapped.named_parameters())
        stem = "base_model.model.attn."
        for prefix, goal in (
            ("", reference.attn.in_proj_weight),
            ("base_layer.out_proj.", reference.attn.out_proj.weight),
        ):
            a, b = (layers[f"{stem}{prefix}lora_{k}.default.weight"] for k in "AB")
            goal += 3.0 * b @ a
    return wrapped, reference, torch.randn(2, 3, 8)


def test_fused_attention_is_w_plus_s_b_a_before_and_after_merging() -> None:
    wrapped, reference, x = adapted_attention()
    want = reference(x)
    torch.testing.assert_close(wrapped(x), want, rtol=1e-4, atol=1e-5)
    with in_peft_terms(wrapped):
        merged = wrapped.merge_and_unload()
    torch.testing.assert_close(merged(x), want, rtol=1e-4, atol=1e-5)


def test_in_peft_terms_the_stock_forward_agrees_and_afterwards_all_is_as_before() -> None:
    wrapped, reference, x = adapted_attention()
    kept = {n: p.clone() for n, p in wrapped.named_parameters()}
    attention = wrapped.base_model.model.attn
    with in_peft_terms(wrapped):
        stock = type(attention).forward(attention, x, x, x, need_weights=False)[0]
    torch.testing.assert_close(stock, reference(x), rtol=1e-4, atol=1e-5)
    assert output_factor() in (1.0, 2.0)
    assert all(torch.equal(p, kept[n]) for n, p in wrapped.named_parameters() if "lora_" in n)


def test_many_forward_passes_leave_the_base_weights_to_the_bit() -> None:
    wrapped, _, x = adapted_attention()
    base = wrapped.base_model.model.attn.get_base_layer()
    before = base.in_proj_weight.clone(), base.out_proj.base_layer.weight.clone()
    for _ in range(50):
        wrapped(x)
    assert torch.equal(base.in_proj_weight, before[0])
    assert torch.equal(base.out_proj.base_layer.weight, before[1])
