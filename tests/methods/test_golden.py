"""A short loss curve for each method on a picture and a text model: any change of the numbers must be meant.

Methods that refuse the picture model, a convolutional network, have a curve on a tiny two-tower model.

To accept new numbers, run `TETHER_GOLDEN=write python -m pytest tests/methods/test_golden.py` and say why in
the commit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from tether import methods
from tether.errors import RequestError
from tether.methods import Initial, Method
from tether.models.config import ModelConfig
from tether.models.heads import LinearHead
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.objective import Runner
from tether.shifts import Supplies
from tether.supply import supplied
from tether.teachers.initial import initial_teacher
from tether.training import Engine, TrainConfig, fit, frozen_runner
from tiny import CLASSES, ListExamples, fixed, tiny_batch, tiny_bert, tiny_model, tiny_texts
from towers import saved

GOLDEN = Path(__file__).with_name("golden.json")
STEPS = 6


def picture_model(_tmp: Path) -> Model:
    return tiny_model()


def text_model(tmp: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(tiny_bert(tmp / "bert"))))
    network = fixed(loaded.backbone.network)
    for name, p in network.named_parameters():  # norms near the identity, as in a real encoder
        if "LayerNorm.weight" in name:
            p.data.fill_(1.0)
    return Model(loaded.backbone, {"main": fixed(LinearHead(16, 2), seed=1)}, ("no", "yes"))


def two_tower_model(tmp: Path) -> Model:
    loaded = load_backbone(ModelConfig(name=str(saved("clip", tmp / "clip"))))
    assert loaded.make_head is not None
    return Model(loaded.backbone, {"main": loaded.make_head(COLOURS)}, COLOURS).eval()


TWO_TOWER = ("vpt", "flyp", "car_ft")
COLOURS = ("red", "green", "blue")

MAKERS = {
    "picture": (picture_model, lambda: tiny_batch(48, classes=len(CLASSES)), 2e-2),
    "text": (text_model, lambda: tiny_texts(48), 5e-3),
    "two-tower": (two_tower_model, lambda: tiny_batch(48, classes=3, side=32), 2e-3),
}


# What a method cannot do without, or would spend minutes on.
OPTIONS: dict[str, dict[str, Any]] = {"dad_lite": {"backend": "patch_kmeans"}}


def with_examples(method: Method, examples: ListExamples, teachers: dict[str, Runner]) -> Method:
    """The method with its shifts built from these examples."""
    supplies = Supplies(
        train=cast(Any, examples), held_out={}, classes=CLASSES, fingerprint="golden", embed=cast(Any, None),
        teacher=lambda _: next(iter(teachers.values())),
    )  # fmt: skip
    return supplied(method, supplies)


def curve(name: str, kind: str, tmp: Path) -> list[float]:
    make, data, lr = MAKERS[kind]
    try:
        method = methods.build(name, OPTIONS.get(name, {}))
    except RequestError as e:
        pytest.skip(str(e))  # dad needs weights from outside; dad_lite runs the same terms
    model = make(tmp)
    try:
        method.tuning.fits(model.backbone)
    except RequestError as e:
        pytest.skip(str(e))
    other = make(tmp / "other")
    with torch.no_grad():
        other.heads["main"].weight.mul_(1.5)
    torch.manual_seed(0)
    groups = method.tuning.apply(model)
    teachers = {
        n: initial_teacher(model, method.tuning) if isinstance(s, Initial) else frozen_runner(other)
        for n, s in method.teachers.items()
    }
    examples = ListExamples(data())
    if name in OPTIONS:
        try:
            method = with_examples(method, examples, teachers)
        except RequestError as e:
            pytest.skip(str(e))  # discrete examples are pictures
    recipe = TrainConfig(group_lengths=False, steps=STEPS, batch_size=16, lr=lr)
    fit(
        model,
        method,
        groups,
        examples,
        teachers,
        recipe,
        Engine("fp32"),
        0,
        tmp / "run",
        "g",
        name,
    )
    log = tmp / "run" / "log.jsonl"
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()] if log.is_file() else []


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", list(methods.names()))
def test_golden_curve(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "two-tower" and name not in TWO_TOWER:
        pytest.skip("has a curve on the picture model")
    got = curve(name, kind, tmp_path)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {}
    if os.environ.get("TETHER_GOLDEN") == "write":
        golden[f"{name}/{kind}"] = [round(v, 6) for v in got]
        GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n")
    assert f"{name}/{kind}" in golden, "no golden curve yet; see the top of this file"
    # Six steps of fp32 on another CPU's kernels drift by about 1e-5; a changed formula by far more.
    assert got == pytest.approx(golden[f"{name}/{kind}"], rel=2e-3, abs=2e-4)
    if got:
        assert len(got) == STEPS
