"""The frozen blocks run once and the rest again: exactly what whole passes give, on every adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from contract import pictures, stirred
from test_images import LAYOUTS
from test_images import saved as saved_images
from test_text_models import DECODERS, ENCODERS
from test_text_models import saved as saved_texts
from test_two_tower import MODELS
from test_two_tower import saved as saved_towers

import tether
from tether.models import efficientnet
from tether.models.branch import Branch, encode
from tether.models.config import ModelConfig
from tether.models.depth import depths, sizes
from tether.models.load import load_backbone
from tether.models.prefix import cuts, once
from tiny import TinyImages, TinyNet, fixed, tiny_batch, tiny_bert, tiny_texts


def text(name: str, pooling: str, folder: Path) -> Any:
    made, config, _ = ENCODERS[name]
    where = saved_texts(folder, made, config())
    return load_backbone(ModelConfig(name=str(where), pooling=pooling)).backbone, tiny_texts(4)


def decoder(name: str, folder: Path) -> Any:
    made, config = DECODERS[name]
    where = saved_texts(folder, made, config(), decoder=True)
    return load_backbone(ModelConfig(name=str(where), pooling="head")).backbone, tiny_texts(4)


CASES: dict[str, Any] = {
    "tiny": lambda _: (TinyImages().eval(), tiny_batch(4)),
    "wrapped": lambda _: (tether.wrap(fixed(TinyNet()), width=8), tiny_batch(4)),
    **{
        f"image-{n}": lambda f, n=n: (
            load_backbone(ModelConfig(name=str(saved_images(n, f)))).backbone,
            pictures(),
        )
        for n in LAYOUTS
    },
    **{f"text-{n}": lambda f, n=n, p=e[2][0]: text(n, p, f) for n, e in ENCODERS.items()},
    **{f"decoder-{n}": lambda f, n=n: decoder(n, f) for n in DECODERS},
    **{
        f"towers-{n}": lambda f, n=n: (
            load_backbone(ModelConfig(name=str(saved_towers(n, f)))).backbone,
            pictures(),
        )
        for n in MODELS
    },
}


def calls_of(blocks: Any) -> list[int]:
    """How often each block's own code runs."""
    counts = [0] * len(blocks)

    def count(i: int, forward: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            counts[i] += 1
            return forward(*args, **kwargs)

        return run

    for i, block in enumerate(blocks):
        block.forward = count(i, block.forward)
    return counts


@pytest.mark.parametrize("name", CASES)
def test_later_passes_are_exact_and_skip_the_prefix(name: str, tmp_path: Path) -> None:
    backbone, batch = CASES[name](tmp_path)
    blocks = backbone.blocks()
    n = len(blocks)
    for k in {1, n - 1, n}:
        with torch.no_grad():
            whole = backbone.encode(batch, [n - 1])
            with once(backbone, k, keep=[0]):
                first = backbone.encode(batch, [n - 1])
                counts = calls_of(blocks[k:])
                again = backbone.encode(batch, [0, n - 1])
                plain = backbone.encode(batch, [0, n - 1])
            for block in blocks[k:]:
                del block.forward
        assert counts == [2] * (n - k)
        for got in (first, again, plain):
            assert torch.equal(got.features, whole.features)
            assert torch.equal(got.hidden[n - 1], whole.hidden[n - 1])
        with torch.no_grad():
            assert torch.equal(again.hidden[0], backbone.encode(batch, [0]).hidden[0])
        assert cuts(backbone, batch.take([0]), k)
        assert all("forward" not in vars(b) for b in blocks)  # given back as they were


@pytest.mark.parametrize("name", ["image-vit", "image-resnet", "text-bert", "tiny"])
def test_the_prefix_itself_does_not_run_again(name: str, tmp_path: Path) -> None:
    backbone, batch = CASES[name](tmp_path)
    blocks = backbone.blocks()
    counts = calls_of(blocks)
    with torch.no_grad(), once(backbone, len(blocks) - 1):
        for _ in range(5):
            backbone.encode(batch)
    assert counts == [1] * (len(blocks) - 1) + [5]


def test_the_packaged_convolutional_network(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    torch.manual_seed(0)
    backbone = efficientnet.EfficientNetBackbone(stirred(efficientnet.build(classes=5), size=0.02))
    batch = pictures()
    with torch.no_grad():
        whole = backbone.encode(batch).features
        with once(backbone, 14):
            got = [backbone.encode(batch).features for _ in range(2)]
    assert all(torch.equal(g, whole) for g in got)
    of = depths(backbone)
    # 320 x 1280 weights of the last convolution and its norm's 2 x 1280 lie above the blocks.
    assert sizes(backbone, of, 16) == 320 * 1280 + 2 * 1280
    assert sizes(backbone, of, 0) == sum(p.numel() for p in backbone.network.parameters())


def test_a_skip_past_the_blocks_is_noticed() -> None:
    class Skips(TinyNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.blocks[0](self.stem(x))
            return (first + self.blocks[1](first)).mean((2, 3))

    backbone = tether.wrap(fixed(Skips()), width=8)
    row = tiny_batch(1)
    assert cuts(backbone, row, 1)
    backbone.network.blocks[1].register_forward_hook(lambda m, a, out: out * 2)
    assert not cuts(backbone, row, 2)  # what was skipped past the second block is gone


def test_gradients_flow_through_what_was_kept() -> None:
    backbone, batch = TinyImages().eval(), tiny_batch(4)
    weight = backbone.network.stem.weight
    plain = torch.autograd.grad(backbone.encode(batch).features.sum() * 2, weight)[0]
    with once(backbone, 1):
        total = backbone.encode(batch).features.sum() + backbone.encode(batch).features.sum()
    torch.testing.assert_close(torch.autograd.grad(total, weight)[0], plain)


def test_a_prefix_within_a_prefix() -> None:
    backbone, batch = TinyImages().eval(), tiny_batch(4)
    with torch.no_grad():
        whole = backbone.encode(batch).features
        with once(backbone, 1):
            for _ in range(2):
                with once(backbone, 2):
                    assert torch.equal(backbone.encode(batch).features, whole)
                    assert torch.equal(backbone.encode(batch).features, whole)


def test_depths_of_a_transformer(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(saved_images("vit", tmp_path)))).backbone
    of = depths(backbone)
    assert of["vit.embeddings.cls_token"] == 0
    assert {d for n, d in of.items() if n.startswith("vit.embeddings")} == {0}
    assert {of[n] for n in of if n.startswith("vit.layernorm")} == {2}
    inside = {id(p): i for i, b in enumerate(backbone.blocks()) for p in b.parameters()}
    for name, p in backbone.network.named_parameters():
        if id(p) in inside:
            assert of[name] == inside[id(p)], name


def test_depths_by_listing_agree_with_depths_by_running(tmp_path: Path) -> None:
    from tether.models.depth import _by_listing

    backbone = load_backbone(ModelConfig(name=str(saved_images("vit", tmp_path)))).backbone
    assert _by_listing(backbone.network, backbone.blocks()) == depths(backbone)


def test_a_weight_that_is_read_without_a_call_counts_with_its_parent(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(saved_towers("siglip", tmp_path)))).backbone
    of = depths(backbone)
    pooling = {d for n, d in of.items() if ".head.attention" in n}  # out_proj is never called
    assert pooling == {2}


def test_a_branch_computes_with_its_own_section_and_leaves_the_network(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(saved_images("vit", tmp_path)))).backbone
    batch = pictures()
    of, named = depths(backbone), dict(backbone.network.named_parameters())
    section = {n: named[n] for n in of if of[n] >= 1}
    same, other = Branch(torch.nn.Identity(), 1, section), Branch(torch.nn.Identity(), 1, section)
    with torch.no_grad():
        for p in other.section.values():
            p.mul_(1.5)
        got = encode(backbone, batch, torch.nn.ModuleDict({"same": same, "other": other}))
        assert torch.equal(got.own["same"], got.features)
        # The other road: a network that really has those weights.
        for name, p in other.section.items():
            named[name.replace("/", ".")].copy_(p)
        assert torch.equal(backbone.encode(batch).features, got.own["other"])
    assert all(named[n] is p for n, p in backbone.network.named_parameters())


def test_bert_by_name(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(tiny_bert(tmp_path / "b")))).backbone
    of = depths(backbone)
    assert max(of.values()) == 1  # mean pooling: nothing with weights follows the last layer
