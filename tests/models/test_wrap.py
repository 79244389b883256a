"""A plain module as a backbone, through training, saving and reading back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from contract import CLASSES, logits
from torch import nn

import tether
from tether import tune
from tether.errors import RequestError
from tether.methods import Initial, Method
from tether.models.config import ModelConfig
from tether.models.heads import random_head
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.models.save import save_model
from tether.models.wrap import reload
from tether.objective import activation, ce, features, robust
from tether.teachers import bind
from tether.training import Engine, TrainConfig, fit
from tether.tune.lora import merge_adapters
from tiny import ListExamples, TinyNet, darker, fixed, tiny_batch, tiny_texts

NORM = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def wrapped() -> tether.wrap:
    return tether.wrap(fixed(TinyNet()), width=8, normalise=NORM)


def test_features_are_the_module_s_on_normalised_pixels() -> None:
    backbone, batch = wrapped(), tiny_batch()
    assert len(backbone.blocks()) == 2  # found
    torch.testing.assert_close(
        backbone.encode(batch).features, fixed(TinyNet()).eval()((batch.x - 0.5) / 0.25)
    )
    hidden = backbone.encode(batch, backbone.taps()).hidden
    assert {k: v.shape for k, v in hidden.items()} == {0: (16, 8, 4, 4), 1: (16, 8, 4, 4)}


def test_a_method_trains_it_and_it_is_read_back(tmp_path: Path) -> None:
    method = Method(
        tuning=tune.lora(rank=2),
        terms=(ce(), robust("gated"), features(0.3), activation(0.3)),
        views={"shifted": darker},
        teachers={"initial": Initial()},
    )
    torch.manual_seed(0)
    model = Model(wrapped(), {MAIN: random_head(8, 3, 0)}, CLASSES).eval()
    groups = method.tuning.apply(model)
    teachers = {n: t.run for n, t in bind(method, model, {}).items()}
    batch = tiny_batch(16)
    start = logits(model, batch)
    torch.testing.assert_close(teachers["initial"](batch, ()).logits[MAIN], start, rtol=0, atol=0)
    recipe = TrainConfig(steps=4, batch_size=16)
    fit(
        model, method, groups, ListExamples(batch), teachers, recipe, Engine("fp32"), 0, tmp_path / "run",
        "f", "wrapped",
    )  # fmt: skip
    model.eval()
    trained = logits(model, batch)
    assert not torch.equal(trained, start)
    torch.testing.assert_close(teachers["initial"](batch, ()).logits[MAIN], start, rtol=0, atol=0)
    merge_adapters(model)
    save_model(model, tmp_path / "model")
    again = reload(tmp_path / "model", tether.wrap(TinyNet(), width=8, normalise=NORM))
    assert again.classes == CLASSES
    torch.testing.assert_close(logits(again, batch), trained, rtol=1e-4, atol=1e-5)


def test_texts_through_a_reader_of_the_user_s() -> None:
    network = nn.Sequential(nn.EmbeddingBag(64, 6), nn.Sequential(nn.Linear(6, 4), nn.Tanh()))
    backbone = tether.wrap(
        network,
        width=4,
        blocks=[network[1]],
        read=lambda batch: torch.tensor([[len(w) for w in (t.split() * 9)[:9]] for t in batch.x]),
    )
    assert backbone.encode(tiny_texts(4)).features.shape == (4, 4)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(RequestError, match=r"\(B, 9\), got \(16, 8\)"):
        tether.wrap(TinyNet(), width=9).encode(tiny_batch())
    with pytest.raises(RequestError, match="parts of the module"):
        tether.wrap(TinyNet(), width=8, blocks=[nn.Linear(2, 2)])
    with pytest.raises(RequestError, match="got both"):
        tether.wrap(TinyNet(), width=8, normalise=NORM, read=lambda b: b.x)
    with pytest.raises(RequestError, match="width"):
        tether.wrap(TinyNet(), width=0)
    with pytest.raises(RequestError, match="got texts"):
        tether.wrap(TinyNet(), width=8).encode(tiny_texts())


def test_weights_of_another_module_are_refused(tmp_path: Path) -> None:
    model = Model(wrapped(), {MAIN: random_head(8, 3, 0)}, CLASSES)
    save_model(model, tmp_path / "model")
    other = nn.Sequential(nn.Sequential(nn.Conv2d(3, 8, 1)), nn.Sequential(nn.Flatten()))
    with pytest.raises(RequestError, match="do not fit this Sequential"):
        reload(tmp_path / "model", tether.wrap(other, width=8))
    with pytest.raises(RequestError, match=r"tether\.wrap"):
        load_backbone(ModelConfig(name=str(tmp_path)))  # the run's folder, and so its model
    with pytest.raises(RequestError, match="it does not"):
        reload(tmp_path, wrapped())
