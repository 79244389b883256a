"""What is asked of the hub, and what is never done with what comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers as hf

from tether.data.weights import WEIGHTS
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.hub import kind_of
from tether.models.load import load_backbone


def test_the_revision_is_asked_for_and_code_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(where: str, **options: Any) -> Any:
        asked.append({"where": where, **options})
        raise OSError("not here")

    monkeypatch.setattr(hf.AutoConfig, "from_pretrained", refuse)
    with pytest.raises(RequestError, match="not here"):
        load_backbone(ModelConfig(name="owner/name", revision="v2"))
    assert asked == [{"where": "owner/name", "revision": "v2", "trust_remote_code": False}]


def test_code_beside_the_weights_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "code.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass C: pass\n")
    described = {"model_type": "theirs", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.C"}}
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(RequestError, match="expected"):
        load_backbone(ModelConfig(name=str(tmp_path)))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (hf.BertConfig(), "text"),
        (hf.GPT2Config(), "text"),
        (hf.Dinov2Config(), "image"),
        (hf.ResNetConfig(), "image"),
        (hf.DINOv3ViTConfig(), "image"),
        (hf.CLIPConfig(), "two-tower"),
        (hf.SiglipConfig(), "two-tower"),
        (hf.CLIPVisionConfig(), "image"),
        (hf.CLIPConfig(architectures=["CLIPForImageClassification"]), "image"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.model_type,
)
def test_kinds(config: Any, kind: str) -> None:
    assert kind_of(config) == kind


def test_an_encoder_decoder_is_refused_by_name(tmp_path: Path) -> None:
    hf.T5Config().save_pretrained(tmp_path)
    with pytest.raises(RequestError, match=r"encoder-decoder \(t5\)"):
        load_backbone(ModelConfig(name=str(tmp_path)))


def test_packaged_weights_have_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A packaged name that is no architecture of its own is read as a transformers folder."""
    from tether.models import load

    assert set(WEIGHTS) <= set(load.PACKAGED)
    read: list[str] = []
    monkeypatch.setattr(load, "weights", lambda name: Path("/weights") / name)
    monkeypatch.setattr(load, "folder_hash", lambda folder: "h")

    def stop(where: str, config: ModelConfig, fingerprint: str) -> Any:
        read.append(where)
        raise RequestError("far enough")

    monkeypatch.setattr(load, "load_transformers", stop)
    for name in ("mobilenet-v2", "dinov2-s", "minilm-l6", "minilm-l3"):
        with pytest.raises(RequestError, match="far enough"):
            load_backbone(ModelConfig(name=name))
    assert [Path(p).name for p in read] == ["mobilenet-v2", "dinov2-s", "minilm-l6", "minilm-l3"]
