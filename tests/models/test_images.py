"""Image models of transformers, each layout on a tiny random network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from contract import keep_the_contract, pictures, stirred
from torch import Tensor

from tether.errors import RequestError
from tether.models import rates
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.tune.lora import targets
from tiny import tiny_texts

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
VIT = {"image_size": 32, "patch_size": 8, **SMALL}
STAGED = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 2, 1]}


def resnet() -> Any:
    return hf.ResNetConfig(**STAGED, layer_type="basic", num_labels=5)


# name -> (class, config, features D, blocks, depthwise or grouped layers left out)
LAYOUTS: dict[str, tuple[Any, Callable[[], Any], int, int, int]] = {
    "vit": (hf.ViTForImageClassification, lambda: hf.ViTConfig(**VIT, num_labels=5), 16, 2, 0),
    "vit-encoder": (hf.ViTModel, lambda: hf.ViTConfig(**VIT), 16, 2, 0),
    "dinov2-encoder": (hf.Dinov2Model, lambda: hf.Dinov2Config(**VIT), 32, 2, 0),
    "deit": (hf.DeiTForImageClassification, lambda: hf.DeiTConfig(**VIT, num_labels=5), 16, 2, 0),
    "convnext": (
        hf.ConvNextForImageClassification,
        lambda: hf.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 3, 1], num_labels=5),
        16, 4, 6,
    ),
    "resnet": (hf.ResNetForImageClassification, resnet, 16, 4, 0),
    "regnet": (
        hf.RegNetForImageClassification,
        lambda: hf.RegNetConfig(**STAGED, groups_width=8, layer_type="x", num_labels=5),
        16, 4, 3,
    ),
    "swin": (
        hf.SwinForImageClassification,
        lambda: hf.SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4,
            num_labels=5,
        ),
        16, 2, 0,
    ),
    "mobilenet-v2": (
        hf.MobileNetV2ForImageClassification,
        lambda: hf.MobileNetV2Config(depth_multiplier=0.35, num_labels=5),
        1280, 16, 16,
    ),
    "dinov3-encoder": (hf.DINOv3ViTModel, lambda: hf.DINOv3ViTConfig(**VIT), 16, 2, 0),
}  # fmt: skip


def saved(name: str, folder: Path) -> Path:
    made, config = LAYOUTS[name][0], LAYOUTS[name][1]()
    torch.manual_seed(0)
    stirred(made(config), size=0.1).save_pretrained(folder)
    described = {
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.3],
        "size": {"height": 32, "width": 32},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(described))
    return folder


def by_transformers(folder: Path) -> Tensor:
    """The library's own loader and its own picture processor's numbers, without tether."""
    network = hf.AutoModelForImageClassification.from_pretrained(folder).eval()
    processor = json.loads((folder / "preprocessor_config.json").read_text())
    mean, std = (torch.tensor(processor[k]).view(1, 3, 1, 1) for k in ("image_mean", "image_std"))
    with torch.no_grad():
        return network(pixel_values=(pictures().x - mean) / std).logits


@pytest.mark.parametrize("name", LAYOUTS)
def test_contract(name: str, tmp_path: Path) -> None:
    width, blocks, left = LAYOUTS[name][2:]
    loaded = load_backbone(ModelConfig(name=str(saved(name, tmp_path / "m"))))
    backbone = loaded.backbone
    assert backbone.width == width
    assert len(backbone.blocks()) == blocks
    assert len(targets(backbone.network, backbone.blocks())[1]) == left
    library = by_transformers if name != "dinov3-encoder" else None  # no such class in the library
    model = keep_the_contract(backbone, pictures(), tmp_path / "out", library)
    if library is not None:
        assert hf.AutoConfig.from_pretrained(tmp_path / "out").id2label == {0: "red", 1: "green", 2: "blue"}
    assert not any(m.training for m in model.train().backbone.network.modules())  # batch norm stays frozen


def test_a_classifier_brings_its_head_and_an_encoder_none(tmp_path: Path) -> None:
    folder = saved("resnet", tmp_path / "m")
    loaded = load_backbone(ModelConfig(name=str(folder)))
    assert loaded.classes == tuple(f"LABEL_{i}" for i in range(5))
    got = loaded.head(loaded.backbone.encode(pictures()).features)
    torch.testing.assert_close(got, by_transformers(folder))
    assert load_backbone(ModelConfig(name=str(saved("vit-encoder", tmp_path / "e")))).head is None


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_other_poolings_against_the_states_themselves(pooling: str, tmp_path: Path) -> None:
    folder = saved("dinov2-encoder", tmp_path / "m")
    backbone = load_backbone(ModelConfig(name=str(folder), pooling=pooling)).backbone
    network = hf.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = network(pixel_values=backbone.embed(pictures()).x).last_hidden_state
    want = states[:, 0] if pooling == "cls" else states[:, 1:].mean(1)
    torch.testing.assert_close(backbone.encode(pictures()).features, want)
    keep_the_contract(backbone, pictures(), tmp_path / "out", None)


def test_taps_are_the_stage_outputs_of_a_flat_convolutional_network(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(saved("mobilenet-v2", tmp_path / "m")))).backbone
    sides = [backbone.encode(pictures(side=64), [i]).hidden[i].shape[-1] for i in backbone.taps()]
    assert sides == [16, 8, 4, 2]  # strides 4, 8, 16, 32
    assert backbone.rates == rates.CONVOLUTIONAL


def test_a_network_of_one_size_resizes_and_one_of_any_size_does_not(tmp_path: Path) -> None:
    vit = load_backbone(ModelConfig(name=str(saved("vit", tmp_path / "v")))).backbone
    assert vit.embed(pictures(side=48)).x.shape[-1] == 32
    resnet = load_backbone(ModelConfig(name=str(saved("resnet", tmp_path / "r")))).backbone
    assert resnet.embed(pictures(side=48)).x.shape[-1] == 48
    x = pictures(side=48)
    x.x.requires_grad_(True)
    vit.encode(x).features.sum().backward()
    assert x.x.grad.abs().sum() > 0  # a gradient reaches the pixels, for adversarial views


def test_a_missing_processor_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved("vit", tmp_path / "m")
    (folder / "preprocessor_config.json").unlink()
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    assert backbone.pixels.mean == pytest.approx((0.485, 0.456, 0.406))
    assert "ImageNet" in capsys.readouterr().err


def test_left_out_layers_are_named_not_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tether import tune
    from tether.models.heads import random_head
    from tether.models.model import Model

    backbone = load_backbone(ModelConfig(name=str(saved("convnext", tmp_path / "m")))).backbone
    tune.lora(rank=2).apply(Model(backbone, {"main": random_head(16, 3, 0)}, ("a", "b", "c")))
    said = capsys.readouterr().err
    assert "leaves out 6 layers" in said
    assert "dwconv" in said


def test_a_copy_of_the_start_hears_its_own_network(tmp_path: Path) -> None:
    """Full tuning copies the initial model; the place of its head must lie in the copy."""
    from tether import tune
    from tether.models.heads import random_head
    from tether.models.model import Model
    from tether.teachers.initial import initial_teacher

    backbone = load_backbone(ModelConfig(name=str(saved("resnet", tmp_path / "m")))).backbone
    model = Model(backbone, {"main": random_head(16, 3, 0)}, ("a", "b", "c")).eval()
    tuning = tune.full()
    tuning.apply(model)
    initial = initial_teacher(model, tuning)
    with torch.no_grad():
        before = model(pictures()).features
    stirred(model)
    assert torch.equal(initial(pictures(), ()).features, before)
    assert not torch.allclose(model(pictures()).features, before)


def test_texts_are_refused(tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(saved("vit", tmp_path / "m")))).backbone
    with pytest.raises(RequestError, match="expects pictures, got texts"):
        backbone.encode(tiny_texts())


def test_pooling_head_without_a_class_is_refused(tmp_path: Path) -> None:
    folder = saved("dinov3-encoder", tmp_path / "m")
    with pytest.raises(RequestError, match=r"model\.pooling"):
        load_backbone(ModelConfig(name=str(folder), pooling="head"))
