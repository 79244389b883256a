"""Prompts against a loop written out by hand, on tiny transformers of both kinds."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from torch import Tensor, nn

import tether
from project import make_project
from tether import tune
from tether.batch import Batch
from tether.cli import main
from tether.errors import RequestError
from tether.finish import merge
from tether.methods import Method
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.prompts import Prompts, prompts_of
from tether.models.save import save_model
from tether.objective import ce
from tether.teachers.initial import initial_teacher
from tiny import TinyImages, fixed, tiny_bert, tiny_texts
from towers import VISION, saved

CLASSES = ("a", "b", "c")


def pictures(n: int = 3) -> Batch:
    x = torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def vit(folder: Path) -> Path:
    torch.manual_seed(0)
    hf.ViTModel(hf.ViTConfig(**VISION), add_pooling_layer=False).save_pretrained(folder)
    return folder


def dino(folder: Path) -> Path:
    torch.manual_seed(0)
    config = hf.Dinov2WithRegistersConfig(**{**VISION, "intermediate_size": None}, num_register_tokens=2)
    hf.Dinov2WithRegistersModel(config).save_pretrained(folder)
    return folder


FOLDERS = {"vit": vit, "dino": dino, "bert": tiny_bert, "clip": lambda f: saved("clip", f)}


def model_of(kind: str, tmp: Path) -> tuple[Model, Batch]:
    backbone = load_backbone(ModelConfig(name=str(FOLDERS[kind](tmp / kind)))).backbone
    batch = tiny_texts(4) if kind == "bert" else pictures()
    return Model(backbone, {MAIN: random_head(backbone.width, 3, 0)}, CLASSES).eval(), batch


def logits(model: Model, batch: Batch) -> Tensor:
    with torch.no_grad():
        return model(batch).logits[MAIN]


def values_of(model: Model) -> Tensor:
    found = prompts_of(model.backbone)
    assert found is not None
    return found.values


@pytest.mark.parametrize("deep", [True, False])
def test_a_vision_transformer_with_prompts_is_the_loop_written_out(tmp_path: Path, deep: bool) -> None:
    model, batch = model_of("vit", tmp_path)
    tune.prompts(3, deep).apply(model)
    model.eval()
    p = values_of(model)
    network: Any = copy.deepcopy(model.backbone.network)
    bare = load_backbone(ModelConfig(name=str(tmp_path / "vit"))).backbone.network
    inner = bare.vit
    with torch.no_grad():
        h = inner.embeddings(model.backbone.embed(batch).x)
        layers = getattr(inner, "layers", None) or inner.encoder.layer
        for i, layer in enumerate(layers):
            rest = h[:, 1:] if i == 0 or not deep else h[:, 4:]
            if deep or i == 0:
                h = torch.cat([h[:, :1], p[i].expand(len(h), -1, -1), rest], 1)
            out = layer(h)
            h = out[0] if isinstance(out, tuple) else out
        want = inner.layernorm(torch.cat([h[:, :1], h[:, 4:]], 1))[:, 0]
        got = model(batch).features
    assert network is not bare
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    assert (got - Model(load_backbone(ModelConfig(name=str(tmp_path / "vit"))).backbone, {}, ())(
        batch
    ).features).abs().max() > 1e-4  # fmt: skip


@pytest.mark.parametrize("deep", [True, False])
def test_a_text_encoder_with_prompts_is_the_loop_written_out(tmp_path: Path, deep: bool) -> None:
    model, batch = model_of("bert", tmp_path)
    tune.prompts(3, deep).apply(model)
    model.eval()
    p = values_of(model)
    bare: Any = load_backbone(ModelConfig(name=str(tmp_path / "bert"))).backbone.network
    coded = model.backbone.embed(batch)
    mask = torch.cat([coded.mask[:, :1].expand(-1, 4), coded.mask[:, 1:]], 1)
    additive = torch.where(mask, 0.0, torch.finfo(torch.float32).min)[:, None, None, :]
    with torch.no_grad():
        h = bare.embeddings(inputs_embeds=coded.x)
        for i, layer in enumerate(bare.encoder.layer):
            rest = h[:, 1:] if i == 0 or not deep else h[:, 4:]
            if deep or i == 0:
                h = torch.cat([h[:, :1], p[i].expand(len(h), -1, -1), rest], 1)
            out = layer(h, additive)
            h = out[0] if isinstance(out, tuple) else out
        h = torch.cat([h[:, :1], h[:, 4:]], 1)
        m = coded.mask[..., None].float()
        want = nn.functional.layer_norm((h * m).sum(1) / m.sum(1), (16,), eps=1e-12)
        got = model(batch).features
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("deep", [True, False])
def test_padding_changes_nothing(tmp_path: Path, deep: bool) -> None:
    model, batch = model_of("bert", tmp_path)
    tune.prompts(3, deep).apply(model)
    together = logits(model.eval(), batch)
    alone = torch.cat([logits(model, batch.take([i])) for i in range(len(batch))])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", FOLDERS)
def test_without_prompts_nothing_changes_and_off_is_the_initial_model(tmp_path: Path, kind: str) -> None:
    model, batch = model_of(kind, tmp_path)
    start, taps = logits(model, batch), model.backbone.taps()
    hidden = {k: v.shape for k, v in model(batch, taps).hidden.items()}
    none = copy.deepcopy(model)
    tune.prompts(0).apply(none)
    assert torch.equal(logits(none, batch), start)

    tuning = tune.prompts(4)
    tuning.fits(model.backbone)
    groups = tuning.apply(model)
    initial = initial_teacher(model, tuning)
    assert (logits(model, batch) - start).abs().max() > 1e-5
    assert torch.equal(initial(batch, ()).logits[MAIN], start)
    assert {k: v.shape for k, v in model(batch, taps).hidden.items()} == hidden
    assert set(groups) == {"prompt", "head"}
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {"backbone.prompts.values", "heads.main.weight", "heads.main.bias"}

    model.train()
    nn.functional.cross_entropy(model(batch).logits[MAIN], batch.y).backward()
    grad = values_of(model).grad
    assert grad is not None
    assert (grad.flatten(1).abs().amax(1) > 0).all()  # every block's prompts learn


def test_dropout_is_for_training_and_a_copy_has_prompts_of_its_own(tmp_path: Path) -> None:
    model, batch = model_of("vit", tmp_path)
    tune.prompts(4, dropout=0.5).apply(model)
    model.eval()
    assert torch.equal(logits(model, batch), before := logits(model, batch))
    twin = copy.deepcopy(model)
    with torch.no_grad():
        values_of(twin).copy_(values_of(twin).roll(1, -1))
    assert torch.equal(logits(model, batch), before)
    assert (logits(twin, batch) - before).abs().max() > 1e-5
    model.train()
    torch.manual_seed(0)
    assert (model(batch).logits[MAIN] - before).abs().max() > 1e-6


def test_the_start_is_uniform_within_the_bound_and_hangs_on_the_seed_alone(tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 1):
        model, _ = model_of("vit", tmp_path)
        torch.manual_seed(seed)
        if found:
            torch.rand(7)  # other draws in between move nothing
        tune.prompts(200).apply(model)
        found.append(values_of(model).detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    bound = math.sqrt(6 / (3 * 16**2 + 16))
    assert bound * 0.98 < float(found[0].abs().max()) <= bound
    assert float(found[0].std()) == pytest.approx(bound / math.sqrt(3), rel=0.03)


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("deep", [True, False])
def test_a_saved_model_is_read_back_with_its_prompts(tmp_path: Path, kind: str, deep: bool) -> None:
    model, batch = model_of(kind, tmp_path)
    tune.prompts(3, deep).apply(model)
    want = logits(model.eval(), batch)
    save_model(model, tmp_path / "out")
    assert (tmp_path / "out" / "prompts.safetensors").is_file()
    again = load_backbone(ModelConfig(name=str(tmp_path / "out")))
    assert again.classes == CLASSES
    assert again.head is not None
    back = Model(again.backbone, {MAIN: again.head}, CLASSES).eval()
    torch.testing.assert_close(logits(back, batch), want, rtol=1e-5, atol=1e-5)
    with pytest.raises(RequestError, match="carries prompts already"):
        tune.prompts(2).apply(back)
    # Another method on top starts from the model with its prompts, which then belong to M_0.
    tuning = tune.lora(rank=2)
    tuning.apply(back)
    initial = initial_teacher(back, tuning)
    with torch.no_grad():
        for name, parameter in back.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.1)
    assert (logits(back, batch) - want).abs().max() > 1e-4
    torch.testing.assert_close(initial(batch, ()).logits[MAIN], want, rtol=1e-5, atol=1e-5)


def test_prompts_of_another_network_are_refused(tmp_path: Path) -> None:
    model, _ = model_of("vit", tmp_path)
    tune.prompts(3).apply(model)
    save_model(model, tmp_path / "out")
    Prompts(torch.zeros(5, 3, 16), []).write(tmp_path / "out")
    with pytest.raises(RequestError, match="prompts of 1 or 2 blocks, got"):
        load_backbone(ModelConfig(name=str(tmp_path / "out")))


def convnext(folder: Path) -> Path:
    config = hf.ConvNextConfig(hidden_sizes=[8, 8], depths=[1, 1], num_stages=2)
    hf.ConvNextModel(config).save_pretrained(folder)
    return folder


def swin(folder: Path) -> Path:
    config = hf.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    hf.SwinModel(config).save_pretrained(folder)
    return folder


def gpt2(folder: Path) -> Path:
    tiny_bert(folder)  # for its tokenizer, which gives a text a first token
    (folder / "model.safetensors").unlink()
    config = hf.GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=2, n_positions=40, pad_token_id=0)
    hf.GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (convnext, "convolutional network, which has no tokens"),
        (swin, "do not all take tokens"),
        (gpt2, "reads from left to right"),
    ],
)
def test_what_has_no_class_token_among_others_is_refused(tmp_path: Path, make: Any, reason: str) -> None:
    backbone = load_backbone(ModelConfig(name=str(make(tmp_path / "m")))).backbone
    with pytest.raises(RequestError, match=reason):
        tune.prompts().fits(backbone)


def test_wrapped_convolutions_bad_numbers_and_merging_are_refused() -> None:
    with pytest.raises(RequestError, match="TinyNet: it is a convolutional network"):
        tune.prompts().fits(TinyImages())
    net = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(12, 8), nn.Tanh()))
    wrapped = tether.wrap(net, width=8, blocks=[net[1]])
    with pytest.raises(RequestError, match="no blank input"):
        tune.prompts().fits(wrapped)
    with pytest.raises(RequestError, match="got -1"):
        tune.prompts(-1)
    with pytest.raises(RequestError, match="prompts start at random"):
        Method(tuning=tune.prompts(), terms=(ce(),), finish=merge(0.5))
    with pytest.raises(RequestError, match="at least 1 prompt"):
        tether.methods.build("vpt", {"count": 0})


def test_a_run_with_prompts_predicts_and_evaluates_as_it_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    config = make_project(tmp_path, method={"name": "vpt", "count": 3})
    bert = load_backbone(ModelConfig(name=str(tmp_path / "bert")))
    fixed(bert.backbone.network).save_pretrained(tmp_path / "bert")
    run = tether.train(str(config))
    rows = pq.read_table(run.folder / "predictions.parquet").to_pylist()
    press = sorted((r for r in rows if r["evalset"] == "press"), key=lambda r: r["id"])
    lines = (tmp_path / "data.csv").read_text().splitlines()[1:]
    texts = [lines[r["id"]].rsplit(",", 3)[0].strip('"') for r in press]
    (tmp_path / "new.txt").write_text("\n".join(texts) + "\n")
    capsys.readouterr()
    assert main(["predict", str(run.folder), str(tmp_path / "new.txt"), "--json"]) == 0
    found = [list(r["probabilities"].values()) for r in json.loads(capsys.readouterr().out)]
    torch.testing.assert_close(
        torch.tensor(found), torch.tensor([r["probabilities"] for r in press]), rtol=1e-4, atol=1e-5
    )
    again = tether.evaluate(str(run.folder), str(config), output=str(tmp_path / "again"))
    for key in ("id_accuracy", "ood_accuracy", "synthetic_accuracy"):
        assert again.summary[key] == pytest.approx(run.summary[key])
    assert "Prompts cannot be merged into weights" in (run.folder / "README.md").read_text()
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert max(row["lr"]["prompt"] for row in log) == pytest.approx(tune.prompts().rates["prompt"].lr)
