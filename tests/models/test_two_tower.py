"""CLIP, SigLIP and dual encoders, tiny and random: image tower trained, text tower asked once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as hf
from contract import CLASSES, keep_the_contract, logits, pictures, stirred

from tether import tune
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_adapter, save_model
from tether.models.start import random_start, text_start
from tether.models.zero_shot import ZeroShotHead
from towers import MODELS, VISION, saved


@pytest.mark.parametrize("name", MODELS)
def test_contract(name: str, tmp_path: Path) -> None:
    folder = saved(name, tmp_path / "m")
    keep_the_contract(
        load_backbone(ModelConfig(name=str(folder))).backbone, pictures(), tmp_path / "out", None
    )


@pytest.mark.parametrize("name", MODELS)
def test_one_template_gives_the_logits_of_the_library_itself(name: str, tmp_path: Path) -> None:
    folder = saved(name, tmp_path / "m")
    loaded = load_backbone(ModelConfig(name=str(folder), templates=("a photo of a {} .",)))
    got = loaded.make_head(CLASSES)(loaded.backbone.encode(pictures()).features)

    whole = hf.AutoModel.from_pretrained(folder).eval()
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    padding = {"padding": "max_length", "max_length": 12} if name == "siglip" else {"padding": True}
    coded = tokenizer([f"a photo of a {c} ." for c in CLASSES], return_tensors="pt", **padding)
    with torch.no_grad():
        want = whole(pixel_values=(pictures().x - 0.5) / 0.5, **coded).logits_per_image
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_a_trained_zero_shot_model_is_saved_whole_and_read_back(tmp_path: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(saved("clip", tmp_path / "m"))))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    tune.full().apply(model)
    stirred(model, seed=4, size=0.05)
    want = logits(model, pictures())
    save_model(model, tmp_path / "out")

    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert isinstance(again.head, ZeroShotHead)
    assert again.classes == CLASSES
    got = logits(Model(again.backbone, {MAIN: again.head}, CLASSES).eval(), pictures())
    torch.testing.assert_close(got, want)
    # The library reads the trained tower, and the head's file has plain tensors.
    whole = hf.CLIPModel.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        phi = whole.get_image_features(pixel_values=(pictures().x - 0.5) / 0.5).pooler_output
    torch.testing.assert_close(again.head(phi), want)


def test_the_text_tower_neither_trains_nor_counts(tmp_path: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(saved("clip", tmp_path / "m"))))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES)
    tune.full().apply(model)
    whole = hf.CLIPModel.from_pretrained(tmp_path / "m")
    tower = [*whole.vision_model.parameters(), *whole.visual_projection.parameters()]
    head = 3 * 8 + 1
    assert model.parameter_counts() == (sum(p.numel() for p in tower) + head,) * 2


def test_an_adapter_trained_on_the_tower_fits_the_whole_model(tmp_path: Path) -> None:
    from peft import PeftModel

    folder = saved("clip", tmp_path / "m")
    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = Model(loaded.backbone, {MAIN: loaded.make_head(CLASSES)}, CLASSES).eval()
    tune.lora(rank=2).apply(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    want = model.backbone.encode(pictures()).features
    save_adapter(model, tmp_path / "adapter", loaded.source)
    whole = PeftModel.from_pretrained(hf.CLIPModel.from_pretrained(folder), tmp_path / "adapter").eval()
    got = whole.get_image_features(pixel_values=(pictures().x - 0.5) / 0.5).pooler_output
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_where_the_head_comes_from_is_the_config_s_choice(tmp_path: Path) -> None:
    folder = str(saved("clip", tmp_path / "m"))
    assert load_backbone(ModelConfig(name=folder, head="probe")).make_head is None
    assert load_backbone(ModelConfig(name=folder, head="zero_shot")).make_head is not None
    with pytest.raises(RequestError, match="head of its own"):
        load_backbone(ModelConfig(name=folder, head="map", map={"a": ("b",)}))
    one, other = (
        load_backbone(ModelConfig(name=folder, templates=(t,))).fingerprint for t in ("a {}", "the {}")
    )
    assert one != other
    assert random_start(load_backbone(ModelConfig(name=folder)), CLASSES, 0).heads[MAIN].bias.shape == (3,)


def test_zero_shot_without_a_text_tower_is_refused(tmp_path: Path) -> None:
    hf.ViTModel(hf.ViTConfig(**VISION)).save_pretrained(tmp_path / "vit")
    with pytest.raises(RequestError, match="text tower"):
        load_backbone(ModelConfig(name=str(tmp_path / "vit"), head="zero_shot"))


def test_the_zero_shot_start_makes_its_head_of_the_class_names(tmp_path: Path) -> None:
    folder = saved("clip", tmp_path / "clip")
    model = text_start(load_backbone(ModelConfig(name=str(folder))), CLASSES)
    head = model.heads[MAIN]
    assert isinstance(head, ZeroShotHead)
    own = load_backbone(ModelConfig(name=str(folder))).backbone
    assert torch.equal(head.weight, own.zero_shot(CLASSES, ["a photo of a {}."]).weight)
    with pytest.raises(RequestError, match=r"leave model\.head out"):
        text_start(load_backbone(ModelConfig(name=str(folder), head="probe")), CLASSES)
