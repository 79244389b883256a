"""Variants of LoRA: the same start as M_0, exact merging, and what interpolation may do with each."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
import transformers as hf
from contract_of_variants import stirred_adapter
from torch import Tensor, nn

import tether
from project import make_project
from tether import methods, tune
from tether.errors import RequestError
from tether.finish import interpolate, trained_state
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_adapter
from tether.teachers.initial import initial_teacher
from tether.tune.lora import merge_adapters
from tether.tune.variants import KINDS
from tiny import tiny_batch, tiny_bert, tiny_model, tiny_texts
from towers import VISION

VARIANTS = list(KINDS)
CLASSES = ("a", "b", "c")


def text(folder: Path) -> Model:
    return _model(tiny_bert(folder))


def gpt(folder: Path) -> Model:
    """A decoder whose weights lie as (in, out)."""
    tiny_bert(folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=40, pad_token_id=0)
    hf.GPT2ForSequenceClassification(config).save_pretrained(folder)
    return _model(folder, bias=False)


def vit(folder: Path) -> Model:
    torch.manual_seed(0)
    hf.ViTModel(hf.ViTConfig(**VISION), add_pooling_layer=False).save_pretrained(folder)
    return _model(folder)


def net(_folder: Path) -> Model:
    return tiny_model()


def _model(folder: Path, bias: bool = True) -> Model:
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    return Model(backbone, {MAIN: random_head(backbone.width, 3, 0, bias)}, CLASSES).eval()


MAKERS = {"text": text, "gpt": gpt, "vit": vit, "net": net}
BATCHES = {"text": tiny_texts(6), "gpt": tiny_texts(6), "vit": tiny_batch(6, side=32), "net": tiny_batch(6)}
# PiSSA is for linear layers, and the blocks of the convolutional net have none.
CASES = [(v, k) for v in VARIANTS for k in MAKERS if (v, k) != ("pissa", "net")]


def logits(model: Model, kind: str) -> Tensor:
    with torch.no_grad():
        return model(BATCHES[kind]).logits[MAIN]


@pytest.mark.parametrize(("variant", "kind"), CASES)
def test_a_variant_starts_at_m0_learns_and_merges_exactly(variant: str, kind: str, tmp_path: Path) -> None:
    model = MAKERS[kind](tmp_path / "m")
    start = logits(model, kind)
    torch.manual_seed(0)
    tuning = tune.lora(rank=2, variant=variant)
    groups = tuning.apply(model)
    initial = initial_teacher(model, tuning)
    torch.testing.assert_close(logits(model, kind), start, rtol=0, atol=1e-5)

    nn.functional.cross_entropy(model(BATCHES[kind]).logits[MAIN], BATCHES[kind].y).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in groups["adapter"])
    stirred_adapter(groups["adapter"])
    trained = logits(model, kind)
    assert (trained - start).abs().max() > 1e-3
    exact = tuning.shares_base
    torch.testing.assert_close(
        initial(BATCHES[kind], ()).logits[MAIN], start, rtol=0, atol=0 if exact else 1e-5
    )
    merge_adapters(model)
    assert not hasattr(model.backbone.network, "peft_config")
    torch.testing.assert_close(logits(model, kind), trained, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", ["lora", "rslora", "ia3"])
def test_where_interpolation_is_allowed_the_merged_weight_is_on_the_line(
    variant: str, tmp_path: Path
) -> None:
    model = text(tmp_path / "m")
    base = {n: p.detach().clone() for n, p in model.backbone.network.named_parameters()}
    tuning = tune.lora(rank=2, variant=variant)
    assert tuning.curved is None
    groups = tuning.apply(model)
    origin = trained_state(model)
    stirred_adapter(groups["adapter"])
    end = trained_state(model)

    def merged(mu: float) -> dict[str, Tensor]:
        twin = copy.deepcopy(model)
        interpolate(twin, origin, end, mu)
        merge_adapters(twin)
        return dict(twin.backbone.network.named_parameters())

    whole, part = merged(1.0), merged(0.3)
    moved = 0
    for name, w in base.items():
        torch.testing.assert_close(part[name], w + 0.3 * (whole[name] - w), rtol=1e-5, atol=1e-6)
        moved += int((whole[name] - w).abs().max() > 1e-3)
    assert moved >= 12  # six linear layers in each of two blocks


@pytest.mark.parametrize("variant", ["dora", "pissa"])
def test_what_is_on_no_line_is_refused_when_the_method_is_made(variant: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"those of {variant} cannot be"):
        methods.build("rdft", {"variant": variant})
    assert methods.build("rdft", {"variant": variant, "mu": None}).tuning.name == variant
    # And rightly: half of the trained numbers is not half of the change.
    model = text(tmp_path / "m")
    before = {n: p.detach().clone() for n, p in model.backbone.network.named_parameters()}
    groups = tune.lora(rank=2, variant=variant).apply(model)
    origin = trained_state(model)
    stirred_adapter(groups["adapter"], 1.0)
    end = trained_state(model)
    found = []
    for mu in (0.5, 1.0):
        twin = copy.deepcopy(model)
        interpolate(twin, origin, end, mu)
        merge_adapters(twin)
        found.append(dict(twin.backbone.network.named_parameters()))
    off = max(float((found[0][n] - (before[n] + found[1][n]) / 2).abs().max()) for n in before)
    assert off > 1e-2


def test_the_scales_and_numbers_of_each_variant(tmp_path: Path) -> None:
    scales, counts = {}, {}
    for variant in VARIANTS:
        model = text(tmp_path / variant)
        width = 16
        groups = tune.lora(rank=4, alpha=8.0, variant=variant).apply(model)
        counts[variant] = sum(p.numel() for p in groups["adapter"])
        layers = [
            m for m in model.backbone.network.modules() if isinstance(getattr(m, "scaling", None), dict)
        ]
        scales[variant] = {s for m in layers for s in m.scaling.values()}
    assert scales == {
        "lora": {2.0},
        "rslora": {8 / math.sqrt(4)},
        "dora": {2.0},
        "pissa": {2.0},
        "ia3": set(),
    }
    outputs = 2 * (4 * width + 2 * width + width)  # per block: q, k, v, out; the MLP's two
    both = 2 * (4 * 2 * width + 3 * width + 3 * width)
    assert counts["lora"] == counts["rslora"] == counts["pissa"] == 4 * both
    assert counts["dora"] == 4 * both + outputs
    assert counts["ia3"] == outputs


def test_pissa_trains_the_largest_singular_directions(tmp_path: Path) -> None:
    model = text(tmp_path / "m")
    name = "encoder.layer.0.attention.self.query"
    w = model.backbone.network.get_submodule(name).weight.detach().clone()
    tune.lora(rank=3, variant="pissa").apply(model)
    layer = model.backbone.network.base_model.model.get_submodule(name)
    product = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    u, s, v = torch.linalg.svd(w)
    torch.testing.assert_close(product, u[:, :3] @ torch.diag(s[:3]) @ v[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.base_layer.weight + product, w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_peft_loads_the_saved_adapter_on_the_base_model(variant: str, tmp_path: Path) -> None:
    from peft import PeftModel

    model = text(tmp_path / "m")
    groups = tune.lora(rank=2, variant=variant).apply(model)
    stirred_adapter(groups["adapter"])
    save_adapter(model, tmp_path / "adapter", "base")
    want = model.backbone.encode(BATCHES["text"]).features
    fresh = load_backbone(ModelConfig(name=str(tmp_path / "m"))).backbone
    fresh.network = PeftModel.from_pretrained(fresh.network, tmp_path / "adapter").eval()
    torch.testing.assert_close(fresh.encode(BATCHES["text"]).features, want, rtol=1e-4, atol=1e-5)


def test_layers_that_a_variant_cannot_take_are_left_out_or_the_request_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no layer that takes pissa \(a linear one\)"):
        tune.lora(variant="pissa").apply(tiny_model())
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    whole = tether.wrap(
        nn.Sequential(nn.Sequential(block)), width=8, features=lambda m, x: m(x).mean(1), read=lambda b: b.x
    )
    model = Model(whole, {MAIN: random_head(8, 3, 0)}, CLASSES).eval()
    tune.lora(rank=2, variant="dora").apply(model)
    adapted = {n for n, m in model.backbone.network.named_modules() if hasattr(m, "lora_A")}
    assert {n.rpartition(".")[2] for n in adapted} == {"linear1", "linear2"}


@pytest.mark.parametrize("variant", ["dora", "pissa", "ia3"])
def test_a_run_with_a_variant_is_saved_and_read_back(variant: str, tmp_path: Path) -> None:
    config = make_project(tmp_path, method={"name": "lora", "variant": variant})
    run = tether.train(str(config))
    again = tether.evaluate(str(run.folder), str(config), output=str(tmp_path / "again"))
    for key in ("id_accuracy", "ood_accuracy", "synthetic_accuracy"):
        assert again.summary[key] == pytest.approx(run.summary[key])
