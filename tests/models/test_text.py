from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tether import tune
from tether.batch import Batch
from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.models.save import save_adapter, save_model
from tether.teachers.initial import initial_teacher
from tiny import tiny_batch, tiny_bert, tiny_texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bert(tmp_path / "bert")


def test_features_are_the_normalised_masked_mean(folder: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    batch = tiny_texts(4)
    got = backbone.encode(batch).features
    network, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    for i, text in enumerate(batch.x):  # one text at a time: no padding at all
        with torch.no_grad():
            states = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = states.mean(0)
        want = (mean - mean.mean()) / mean.std(unbiased=False)
        torch.testing.assert_close(got[i], want, rtol=1e-4, atol=1e-5)


def test_an_embedded_batch_gives_the_same_features_and_a_gradient(folder: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    batch = tiny_texts(4)
    embedded = backbone.embed(batch)
    assert embedded.space != "raw"
    assert embedded.x.requires_grad
    torch.testing.assert_close(backbone.encode(embedded).features, backbone.encode(batch).features)


def test_hidden_states_have_the_batch_and_token_axes(folder: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    encoded = backbone.encode(tiny_texts(4), hidden=[0, 1])
    b, t = encoded.mask.shape
    assert {k: tuple(v.shape) for k, v in encoded.hidden.items()} == {0: (b, t, 16), 1: (b, t, 16)}


def test_lora_student_equals_the_initial_model_and_shares_its_weights(folder: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = Model(loaded.backbone, {"main": LinearHead(16, 2)}, ("no", "yes"))
    before = model(tiny_texts(4)).features.detach()
    storage = {p.data_ptr() for p in model.backbone.network.parameters()}
    tuning = tune.lora(rank=2)
    tuning.apply(model)
    initial = initial_teacher(model, tuning)
    assert torch.equal(model(tiny_texts(4)).features, before)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.fill_(0.1)
    assert not torch.allclose(model(tiny_texts(4)).features, before)
    assert torch.equal(initial(tiny_texts(4), ()).features, before)  # adapters off: bit for bit
    after = {p.data_ptr() for n, p in model.backbone.network.named_parameters() if "lora" not in n}
    assert after == storage


def test_saved_model_and_adapter_load_without_tether(folder: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    loaded = load_backbone(ModelConfig(name=str(folder)))
    model = Model(loaded.backbone, {"main": LinearHead(16, 2)}, ("no", "yes"))
    tune.lora(rank=2).apply(model)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name or "heads" in name:
                p.normal_(generator=torch.Generator().manual_seed(len(name)))
        model.heads["main"].std.fill_(2.0)
        model.heads["main"].mean.fill_(0.3)
    want = model(tiny_texts(4)).logits["main"].detach()
    features = model(tiny_texts(4)).features.detach()

    save_adapter(model, tmp_path / "adapter", loaded.source)
    adapted = PeftModel.from_pretrained(AutoModel.from_pretrained(folder), tmp_path / "adapter").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    coded = tokenizer(list(tiny_texts(4).x), padding=True, return_tensors="pt")
    with torch.no_grad():
        states = adapted(**coded).last_hidden_state
    mask = coded["attention_mask"].unsqueeze(-1)
    mean = torch.nn.functional.layer_norm((states * mask).sum(1) / mask.sum(1), (16,), eps=1e-12)
    torch.testing.assert_close(mean, features, rtol=1e-4, atol=1e-5)
    head = load_file(tmp_path / "adapter" / "head.safetensors")
    torch.testing.assert_close(mean @ head["weight"].T + head["bias"], want, rtol=1e-3, atol=1e-4)

    from tether.tune.lora import merge_adapters

    merge_adapters(model)
    torch.testing.assert_close(model(tiny_texts(4)).logits["main"], want, rtol=1e-3, atol=1e-4)
    save_model(model, tmp_path / "model")
    whole = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        torch.testing.assert_close(whole(**coded).logits, want, rtol=1e-3, atol=1e-4)

    again = load_backbone(ModelConfig(name=str(tmp_path / "model")))  # and tether reads it back
    assert again.classes == ("no", "yes")
    got = again.head(again.backbone.encode(tiny_texts(4)).features)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_a_picture_batch_is_refused(folder: Path) -> None:
    backbone = load_backbone(ModelConfig(name=str(folder))).backbone
    with pytest.raises(RequestError, match="expects texts, got pictures"):
        backbone.encode(tiny_batch())


def test_a_pickled_checkpoint_is_refused_not_unpickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(RequestError, match="safetensors"):
        load_backbone(ModelConfig(name=str(folder)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("minilm-l7", "did you mean 'minilm-l6'"),
        ("./nowhere", "no such folder"),
    ],
)
def test_an_unknown_model_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        load_backbone(ModelConfig(name=name))


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"config\.json"):
        load_backbone(ModelConfig(name=str(tmp_path)))


def test_class_sentences_are_scaled_cosines_by_hand(folder: Path) -> None:
    loaded = load_backbone(ModelConfig(name=str(folder), templates=("a {} day", "{}")))
    assert loaded.by_name is not None
    assert loaded.make_head is None  # the probe stays the start unless zero-shot is asked for
    head, backbone = loaded.by_name(["good", "poor"]), loaded.backbone
    texts = tiny_texts(4)
    phi = backbone.encode(texts).features
    rows = []
    for name in ("good", "poor"):
        batch = Batch((f"a {name} day", name), torch.zeros(2, dtype=torch.long), torch.arange(2))
        each = torch.nn.functional.normalize(backbone.encode(batch).features, dim=-1)
        rows.append(torch.nn.functional.normalize(each.mean(0), dim=-1))
    want = 20 * torch.nn.functional.normalize(phi, dim=-1) @ torch.stack(rows).T
    torch.testing.assert_close(head(phi), want, rtol=1e-4, atol=1e-4)
    asked = load_backbone(ModelConfig(name=str(folder), head="zero_shot"))
    assert asked.make_head is not None
    assert load_backbone(ModelConfig(name=str(folder), pooling="cls")).by_name is None
