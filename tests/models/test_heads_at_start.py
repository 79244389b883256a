"""Which head a run starts from, and that every kind of head is saved and read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from contract import logits, pictures
from pydantic import ValidationError

from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.head_file import read_head, write_head
from tether.models.heads import LinearHead, random_head
from tether.models.load import load_backbone
from tether.models.map_head import MapHead, map_head
from tether.models.model import MAIN, Model
from tether.models.probe import fit_probe
from tether.models.save import save_model
from tether.models.start import ProbeData, probe_start
from tether.models.zero_shot import ZeroShotHead
from tiny import ListExamples

NAMES = {0: "cat", 1: "dog", 2: "car"}
GROUPS = {"animal": ("cat", "dog"), "vehicle": ("car",)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = hf.ViTConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, id2label=NAMES, label2id={v: k for k, v in NAMES.items()},
    )  # fmt: skip
    hf.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def data() -> ProbeData:
    examples = ListExamples(pictures(12))
    return ProbeData(examples, examples, "f")


def test_its_own_head_if_the_classes_are_the_task_s(folder: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = probe_start(loaded, ("cat", "dog", "car"), data(), torch.device("cpu"))
    assert model.heads[MAIN] is loaded.head


def test_a_map_from_its_own_classes(folder: Path, tmp_path: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder), head="map", map=GROUPS))
    model = probe_start(loaded, ("animal", "vehicle"), data(), torch.device("cpu")).eval()
    own = hf.ViTForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        p = own(pixel_values=model.backbone.embed(pictures()).x).logits.softmax(-1)
    want = torch.stack([p[:, 0] + p[:, 1], p[:, 2]], 1)
    torch.testing.assert_close(logits(model, pictures()).exp(), want)

    save_model(model, tmp_path / "out")
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert isinstance(again.head, MapHead)
    got = logits(Model(again.backbone, {MAIN: again.head}, again.classes).eval(), pictures())
    torch.testing.assert_close(got.exp(), want)


def test_another_reading_has_another_fingerprint(folder: Path) -> None:
    one, other = (
        load_backbone(ModelConfig(name=str(folder), pooling=p)).fingerprint for p in ("head", "mean")
    )
    assert one != other


def test_map_and_its_groups_belong_together() -> None:
    with pytest.raises(ValidationError, match="belong together"):
        ModelConfig(name="x", head="map")
    with pytest.raises(ValidationError, match="class name goes"):
        ModelConfig(name="x", templates=("a photo",))


@pytest.mark.parametrize(
    "head",
    [
        random_head(4, 3, 0),
        ZeroShotHead(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), 1.5, -2.0),
        map_head(torch.eye(3, 4), torch.arange(3.0), ["cat", "dog", "car"], GROUPS, tuple(GROUPS)),
    ],
    ids=["linear", "zero_shot", "map"],
)
def test_every_head_is_read_back_as_it_was(head: torch.nn.Module, tmp_path: Path) -> None:
    write_head(tmp_path, head, ["a", "b", "c"], pooling="cls")
    again = read_head(tmp_path)
    phi = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(again.head(phi), head(phi))
    assert type(again.head) is type(head)
    assert (again.classes, again.about["pooling"]) == (("a", "b", "c"), "cls")


def test_a_head_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="can be saved"):
        write_head(tmp_path, torch.nn.Linear(2, 2), ["a", "b"])
    write_head(tmp_path, LinearHead(2, 2), ["a", "b"])
    (tmp_path / "tether.json").write_text(json.dumps({"head": "liner", "classes": ["a"]}))
    with pytest.raises(RequestError, match="did you mean 'linear'"):
        read_head(tmp_path)


def test_a_probe_without_intercept_is_weights_alone() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 5)) + np.eye(3, 5)[y] * 3 + 1.0
    probe = fit_probe(x, y, x, y, classes=3, intercept=False)
    weight, bias = probe.head.folded()
    assert bias.abs().max() == 0
    assert ((x @ weight.double().numpy().T).argmax(1) == y).mean() > 0.8
