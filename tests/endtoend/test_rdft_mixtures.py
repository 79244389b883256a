"""RDFT on adversarial, retrieved, generated and plain shifts in one mixture, whole and resumed."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file
from test_own_model import config as picture_config
from test_own_model import make

import tether
from project import make_project
from tether.errors import Interrupted
from tether.models import registered
from tether.training import log

sys.path.insert(0, str(Path(__file__).parents[1] / "shifts"))
from language_models import said, server


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    tether.register_model("mine", make)
    yield
    registered._registered.clear()


def picture_pool(folder: Path, n: int = 60) -> Path:
    rng = np.random.default_rng(7)
    (folder / "pool").mkdir()
    lines = ["image"]
    for i in range(n):
        pixels = rng.integers(0, 120, (16, 16, 3)) + 3 * (i % 40)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "pool" / f"{i}.png")
        lines.append(f"{i}.png")
    (folder / "pool" / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "pool" / "table.csv"


def on_pictures(folder: Path, **options) -> dict:
    shifts = [
        {"name": "augmix", "weight": 0.5},
        {"name": "adv_divergence", "weight": 0.25},
        {
            "name": "retrieved",
            "pool": str(picture_pool(folder)),
            "near": 1.0,
            "band": [0.0, 100.0],
            "weight": 0.25,
        },
    ]
    method = {"name": "rdft", "alpha": 0.5, "shifts": shifts, "views": 2, **options}
    return picture_config(folder, method=method, train={"steps": 2, "batch_size": 16, "checkpoint_every": 1})


def on_texts(folder: Path, address: str, **options) -> str:
    words = ("good", "bad", "fine", "poor", "film", "day", "very", "not", "the", "is", "was", "it")
    pool = folder / "pool.txt"
    texts = (" ".join(p) for p in itertools.islice(itertools.permutations(words, 5), 0, 90000, 900))
    pool.write_text("\n".join(texts))
    shifts = [
        "word_swap",
        "punctuation",
        {"name": "adv_substitution", "weight": 0.25},
        {"name": "generated", "model": "x", "base_url": address, "attributes": ["formal"]},
        {"name": "retrieved", "pool": str(pool), "near": 1.0},
    ]
    method = {"name": "rdft", "shifts": shifts, "views": 2, **options}
    train = {"steps": 2, "batch_size": 16, "checkpoint_every": 1}
    return str(make_project(folder, method=method, train=train))


def rewritten(body, headers, before):
    text = body["messages"][0]["content"].partition("Text: ")[2].partition("\nRewritten")[0]
    return said(text.replace("film", "movie now").replace("day", "day outside").replace("it", "this one"))


def interrupted_after_the_first_step(monkeypatch: pytest.MonkeyPatch, config, output: Path) -> None:
    append = log.append

    def stop(path: Path, row) -> None:
        append(path, row)
        if path == output / "log.jsonl":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(log, "append", stop)
        with pytest.raises(Interrupted, match="after step 1 of 2"):
            tether.train(config, output=str(output))
    assert not (output / "summary.json").exists()


def check(monkeypatch: pytest.MonkeyPatch, folder: Path, config) -> tether.run.Run:
    whole = tether.train(config, output=str(folder / "whole"))
    rows = [json.loads(line) for line in (folder / "whole" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [0, 1]
    assert all(math.isfinite(v) for r in rows for v in (r["loss"], *r["terms"].values()))
    interrupted_after_the_first_step(monkeypatch, config, folder / "cut")
    tether.train(config, output=str(folder / "cut"))
    a, b = (load_file(folder / name / "checkpoints" / "last.safetensors") for name in ("whole", "cut"))
    assert a.keys() == b.keys()
    assert all((a[k] == b[k]).all() for k in a)
    assert (folder / "cut" / "log.jsonl").read_text() == (folder / "whole" / "log.jsonl").read_text()
    return whole


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"teacher_head": "anchor", "anchors": 16, "feature_reduction": "ln", "rar_rows": "tokens"},
        {"teacher_head": "rkd", "student": "last_blocks", "head_mode": "frozen", "rar_centre": "source"},
        {
            "teacher_head": "cos",
            "student": "full",
            "target": "shifted",
            "layers": [1.0],
            "confidence_weight": True,
        },
    ],
    ids=["defaults", "anchor", "rkd", "cos"],
)
def test_a_convolutional_student(options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = check(monkeypatch, tmp_path, on_pictures(tmp_path, **options))
    assert {"augmix", "adv_divergence", "retrieved"} == set(run.summary["seen_shifts"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "teacher_head": "anchor",
            "targets": "qv",
            "dropout": 0.1,
            "feature_tokens": "cls",
            "cross_fit_folds": 2,
        },
        {
            "teacher_head": "rkd",
            "feature_reduction": "sum",
            "feature_weight": 1e-4,
            "task_teacher_on_shift": True,
        },
        {"teacher_head": "cos", "student": "last_blocks", "target": "clean", "rar_power": 2},
    ],
    ids=["defaults", "anchor", "rkd", "cos"],
)
def test_a_transformer_student(options: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(rewritten) as address:
        path = on_texts(tmp_path, address, **options)
        if options.get("target") == "clean":
            # Retrieved texts show something else: no clean target is left for them, and they count 0.
            assert "retrieved" in Path(path).read_text()
        run = check(monkeypatch, tmp_path, path)
    assert set(run.summary["seen_shifts"]) == {
        "word_swap", "punctuation", "adv_substitution", "generated", "retrieved",
    }  # fmt: skip


def test_masked_words_through_the_whole_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BertConfig, BertForMaskedLM

    shifts = ["word_swap", {"name": "adv_substitution", "weight": 0.25}]
    method = {"name": "rdft", "teacher_head": "mlm", "shifts": shifts, "views": 2}
    train = {"steps": 2, "batch_size": 16, "checkpoint_every": 1, "lr": 0.02}
    path = str(make_project(tmp_path, method=method, train=train))
    with pytest.raises(tether.errors.RequestError, match="without its masked-word head"):
        tether.train(path, output=str(tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()
    sharp = BertConfig.from_pretrained(tmp_path / "bert", initializer_range=0.4)  # words far from equal
    BertForMaskedLM(sharp).save_pretrained(tmp_path / "bert")
    check(monkeypatch, tmp_path, path)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert rows[0]["terms"]["robust"] == 0
    assert rows[1]["terms"]["robust"] > 1e-4
