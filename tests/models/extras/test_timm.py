"""timm models, tiny and random, through timm's own loader."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from contract import CLASSES, keep_the_contract, logits, pictures, stirred
from torch import Tensor

from tether import tune
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.models.timm_images import TimmImages
from tether.tune.targets import really_run, targets

timm: Any = pytest.importorskip("timm", reason="the extra `timm` is not installed")

TINY_VIT = {"img_size": 32, "embed_dim": 16, "depth": 2, "num_heads": 2}
# name -> (arguments, blocks, left out of LoRA)
LAYOUTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "vit_tiny_patch16_224": (TINY_VIT, 2, 0),  # fused qkv
    "beit_base_patch16_224": (TINY_VIT, 2, 2),  # multiplies by its qkv weights itself
    "resnet18": ({}, 4, 0),
    "convnext_atto": ({"depths": (1, 1, 2, 1), "dims": (8, 8, 16, 16)}, 4, 5),
    "swin_tiny_patch4_window7_224": (
        {"img_size": 32, "embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}, 2, 0,
    ),
    "mobilenetv3_small_050": ({}, 6, 11),
}  # fmt: skip


def made(name: str) -> Any:
    arguments = LAYOUTS[name][0]
    torch.manual_seed(0)
    network = stirred(timm.create_model(name, pretrained=False, num_classes=5, **arguments), size=0.05)
    network.tether_args = arguments
    return network


@pytest.mark.parametrize("name", LAYOUTS)
def test_contract(name: str, tmp_path: Path) -> None:
    backbone = TimmImages(made(name), name)
    _, blocks, left = LAYOUTS[name]
    assert len(backbone.blocks()) == blocks
    adapted, left_out = targets(backbone.network, backbone.blocks())
    assert len(left_out) + len(set(adapted) - really_run(backbone, adapted)) == left

    def by_timm(folder: Path) -> Tensor:
        network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        with torch.no_grad():
            return network(backbone.embed(pictures()).x)

    keep_the_contract(backbone, pictures(), tmp_path / "out", by_timm)


def test_a_folder_brings_its_head(tmp_path: Path) -> None:
    network = made("resnet18")
    want = network.get_classifier().weight.detach().clone()
    backbone = TimmImages(network, "resnet18")
    (tmp_path / "m").mkdir()
    backbone.save(tmp_path / "m", *backbone.own, [f"c{i}" for i in range(5)])
    loaded = load_backbone(ModelConfig(name=str(tmp_path / "m")))
    assert loaded.classes == ("c0", "c1", "c2", "c3", "c4")
    torch.testing.assert_close(loaded.head.weight.detach(), want)


def test_an_unknown_name_and_pickled_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no pretrained weights named"):
        load_backbone(ModelConfig(name="resnet18x", source="timm"))
    backbone = TimmImages(made("resnet18"), "resnet18")
    (tmp_path / "m").mkdir()
    backbone.save(tmp_path / "m", *backbone.own, list("abcde"))
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(RequestError, match="pickled"):
        load_backbone(ModelConfig(name=str(tmp_path / "m")))


@pytest.mark.parametrize("deep", [True, False])
def test_prompts_are_the_loop_written_out_and_are_read_back(tmp_path: Path, deep: bool) -> None:
    network = made("vit_tiny_patch16_224")
    bare = copy.deepcopy(network)
    backbone = TimmImages(network, "vit_tiny_patch16_224")
    model = Model(backbone, {MAIN: random_head(16, 3, 0)}, CLASSES).eval()
    tune.prompts(3, deep).apply(model)
    p = backbone.prompts.values
    with torch.no_grad():
        h = bare.norm_pre(bare.patch_drop(bare._pos_embed(bare.patch_embed(backbone.embed(pictures()).x))))
        for i, block in enumerate(bare.blocks):
            if deep or i == 0:
                h = torch.cat([h[:, :1], p[i].expand(len(h), -1, -1), h[:, 1 if i == 0 else 4 :]], 1)
            h = block(h)
        want = bare.forward_head(bare.norm(torch.cat([h[:, :1], h[:, 4:]], 1)), pre_logits=True)
        got = model.eval()(pictures())
    torch.testing.assert_close(got.features, want, rtol=1e-4, atol=1e-5)
    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    back = Model(again.backbone, {MAIN: again.head}, again.classes).eval()
    torch.testing.assert_close(logits(back, pictures()), got.logits[MAIN], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in LAYOUTS if n not in ("vit_tiny_patch16_224",)])
def test_what_takes_no_prompts_says_why(name: str) -> None:
    with pytest.raises(RequestError, match=r"convolutional|refuse a longer sequence|not all take tokens"):
        tune.prompts().fits(TimmImages(made(name), name))


@pytest.mark.parametrize("name", LAYOUTS)
def test_three_heads_and_a_prefix(name: str, tmp_path: Path) -> None:
    from test_extras import COMBINED, UNCLEAN, same, stir

    from tether import tune
    from tether.models.extras import assemble
    from tether.models.heads import random_head
    from tether.models.model import MAIN, Model
    from tether.models.prefix import cuts
    from tether.models.save import save_model

    network = made(name)
    backbone = TimmImages(network, name)
    n = len(backbone.blocks())
    assert all(cuts(backbone, pictures(1), k) for k in (1, n - 1, n))
    model = Model(backbone, {MAIN: random_head(backbone.width, 3, 0)}, CLASSES).eval()
    tune.tail(0.95, 0.2, (COMBINED, UNCLEAN), "block").apply(model)
    model.eval()
    stir(model)
    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert again.head is not None
    same(model, assemble(again.backbone, again.head, CLASSES, again.extras).eval(), pictures())
