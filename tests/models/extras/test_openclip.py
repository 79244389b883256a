"""A tiny random open_clip model: fused attention under LoRA, zero-shot, open_clip's own loader."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from contract import CLASSES, keep_the_contract, logits, pictures, stirred
from safetensors.torch import save_file
from torch import Tensor

from tether import tune
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.objective import info_nce
from tether.tune.lora import merge_adapters
from tether.tune.targets import targets

open_clip: Any = pytest.importorskip("open_clip", reason="the extra `openclip` is not installed")

DESCRIBED = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = stirred(open_clip.CLIP(**copy.deepcopy(DESCRIBED["model_cfg"])), size=0.05)
    where = tmp_path / "clip"
    where.mkdir()
    (where / "open_clip_config.json").write_text(json.dumps(DESCRIBED))
    save_file({k: v.clone() for k, v in network.state_dict().items()}, where / "open_clip_model.safetensors")
    return where


def features_by_open_clip(folder: Path) -> Tensor:
    whole = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.no_grad():
        return whole.encode_image((pictures().x - 0.5) / 0.5)


def test_contract(folder: Path, tmp_path: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    adapted, left_out = targets(backbone.network, backbone.blocks())
    assert [n.rpartition(".")[2] for n in adapted[:3]] == ["attn", "c_fc", "c_proj"]
    assert not left_out
    # without a gradient torch takes another kernel for this attention: equal numbers, not equal bits
    model = keep_the_contract(backbone, pictures(), tmp_path / "out", None, exact_off=False)
    got = features_by_open_clip(tmp_path / "out")
    torch.testing.assert_close(got, model.backbone.encode(pictures()).features, rtol=1e-4, atol=1e-4)


def test_zero_shot_is_open_clip_s_own(folder: Path, tmp_path: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder), templates=("a photo of a {}.",)))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    whole = open_clip.create_model(f"local-dir:{folder}").eval()
    texts = open_clip.get_tokenizer(f"local-dir:{folder}")([f"a photo of a {c}." for c in CLASSES])
    with torch.no_grad():
        want, _ = whole.get_logits((pictures().x - 0.5) / 0.5, texts)
    torch.testing.assert_close(logits(model, pictures()), want, rtol=1e-4, atol=1e-4)
    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    got = logits(Model(again.backbone, {MAIN: again.head}, again.classes).eval(), pictures())
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_pickled_weights_and_another_library_s_text_tower_are_refused(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").rename(folder / "open_clip_pytorch_model.bin")
    with pytest.raises(RequestError, match="pickled weights are not read"):
        load_backbone(ModelConfig(name=str(folder)))
    described = copy.deepcopy(DESCRIBED)
    described["model_cfg"]["text_cfg"]["hf_model_name"] = "owner/name"
    (folder / "open_clip_config.json").write_text(json.dumps(described))
    with pytest.raises(RequestError, match="text tower of another library"):
        load_backbone(ModelConfig(name=str(folder)))


def test_both_towers_train_and_are_saved_whole(folder: Path, tmp_path: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder), templates=("a photo of a {}.",)))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    start = logits(model, pictures())
    tune.towers().apply(model)
    torch.testing.assert_close(logits(model, pictures()), start, rtol=1e-4, atol=1e-4)
    info_nce(model(pictures()).logits[MAIN], pictures().y).backward()
    tower = {n: p for n, p in model.named_parameters() if p.requires_grad and n.startswith("heads.")}
    learning = {n.removeprefix("heads.main.tower.").split(".")[0] for n, p in tower.items() if p.grad.any()}
    # Those two are bare parameters of the whole model.
    assert learning >= {"transformer", "token_embedding", "text_projection", "positional_embedding"}
    with torch.no_grad():
        for p in tower.values():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(4)))
    want = logits(model, pictures())
    assert (want - start).abs().max() > 1e-3
    save_model(model, tmp_path / "out")
    whole = open_clip.create_model(f"local-dir:{tmp_path / 'out'}").eval()
    texts = open_clip.get_tokenizer(f"local-dir:{folder}")([f"a photo of a {c}." for c in CLASSES])
    with torch.no_grad():
        theirs, _ = whole.get_logits((pictures().x - 0.5) / 0.5, texts)
    torch.testing.assert_close(theirs.softmax(-1), want.softmax(-1), rtol=1e-3, atol=1e-4)
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    got = logits(Model(again.backbone, {MAIN: again.head}, again.classes).eval(), pictures())
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("deep", [True, False])
def test_prompts(folder: Path, tmp_path: Path, deep: bool) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    start = logits(model, pictures())
    tune.prompts(3, deep).apply(model)
    want = logits(model.eval(), pictures())
    assert (want - start).abs().max() > 1e-4
    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    got = logits(Model(again.backbone, {MAIN: again.head}, again.classes).eval(), pictures())
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_the_scale_of_rslora_holds_in_fused_attention_too(folder: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    groups = tune.lora(rank=4, variant="rslora").apply(model)
    with torch.no_grad():
        for p in groups["adapter"]:
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(5)))
    want = logits(model, pictures())
    merge_adapters(model)
    torch.testing.assert_close(logits(model, pictures()), want, rtol=1e-4, atol=1e-4)


def test_three_heads_of_sections_and_a_prefix(folder: Path, tmp_path: Path) -> None:
    from test_extras import COMBINED, UNCLEAN, same, stir

    from tether import tune
    from tether.models.extras import assemble
    from tether.models.prefix import cuts

    loaded = load_backbone(ModelConfig(name=str(folder)))
    assert cuts(loaded.backbone, pictures(1), 1)
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    start = logits(model, pictures())
    tune.tail(0.95, 0.2, (COMBINED, UNCLEAN), "block").apply(model)
    model.eval()
    torch.testing.assert_close(logits(model, pictures()), start, rtol=0, atol=1e-5)
    stir(model)
    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    same(model, assemble(again.backbone, again.head, CLASSES, again.extras).eval(), pictures())
