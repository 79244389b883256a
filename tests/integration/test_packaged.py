"""The packaged weights and data, end to end. Fetched once into the user's cache; minutes the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import tether
from tether.models.config import ModelConfig
from tether.models.emoji_two_tower import build
from tether.models.load import load_backbone

pytestmark = pytest.mark.integration
SHORT = ["train.steps=3", "evaluate.severities=[3]", "evaluate.limit=40"]


@pytest.fixture(scope="module")
def sentiment_run(tmp_path_factory: pytest.TempPathFactory) -> tether.run.Run:
    folder = tmp_path_factory.mktemp("sentiment")
    overrides = [*SHORT, "method.alpha=1", "method.mu=0.7", "data.limit={id_test: 60, ood_test: 60}"]
    return tether.train("sentiment", overrides, method="rdft", output=str(folder / "run"))


def test_frozen_digit_features_are_worth_something(tmp_path: Path) -> None:
    """Logistic regression on frozen ImageNet features: far above chance at home, and it loses much away."""
    limit = ["evaluate.shifts=[pixelate]", "evaluate.limit=100", "evaluate.severities=[1]"]
    run = tether.train("digits", limit, method="linear_probe", output=str(tmp_path / "run"))
    assert run.summary["id_accuracy"] > 0.85
    assert 0.2 < run.summary["ood_accuracy"] < run.summary["id_accuracy"]
    assert run.summary["trainable_parameters"] == 0


def test_rdft_takes_steps_on_digits(tmp_path: Path) -> None:
    run = tether.train(
        "digits",
        [*SHORT, "method.mu=0.5", "method.target=shifted", "method.start=probe"],
        method="rdft",
        output=str(tmp_path / "run"),
    )
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    # At step 0 the student is the initial model: the three regularisers are 0, the task terms are not.
    first = log[0]["terms"]
    assert abs(first["robust"]) < 1e-4
    assert abs(first["feature"]) < 1e-5
    assert abs(first["rar"]) < 1e-4
    assert first["ce"] > 1e-3
    assert log[2]["terms"]["robust"] > 0
    assert run.summary["trainable_parameters"] < 0.06 * run.summary["total_parameters"]


def test_efficientnet_reads_back_what_it_saved(tmp_path: Path) -> None:
    run = tether.train("digits", SHORT, method="lora", output=str(tmp_path / "run"))
    again = tether.evaluate(str(run.folder), "digits", SHORT, output=str(tmp_path / "again"))
    a, b = (pq.read_table(f / "predictions.parquet").to_pylist() for f in (run.folder, again.folder))
    np.testing.assert_allclose([r["probabilities"] for r in a], [r["probabilities"] for r in b], atol=1e-5)


LOAD = """
import json, sys
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
folder, texts = sys.argv[1], json.load(sys.stdin)
model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
with torch.no_grad():
    coded = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    print(json.dumps(torch.softmax(model(**coded).logits, -1).tolist()))
assert "tether" not in sys.modules
"""


def test_the_saved_sentence_encoder_gives_the_recorded_probabilities_without_tether(
    sentiment_run: tether.run.Run,
) -> None:
    from tether.data import DataConfig, load_data

    data = load_data(DataConfig(preset="sentiment", limit={"id_test": 60, "ood_test": 60}))
    batch = data.ood_test["movie"].batch(range(60))
    table = pq.read_table(sentiment_run.folder / "predictions.parquet").to_pylist()
    recorded = {r["id"]: r["probabilities"] for r in table if r["evalset"] == "movie"}
    child = subprocess.run(
        [sys.executable, "-c", LOAD, str(sentiment_run.folder / "model")],
        input=json.dumps(list(batch.x)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    want = [recorded[i] for i in batch.ids.tolist()]
    np.testing.assert_allclose(json.loads(child.stdout), want, atol=5e-5)


def test_the_sentence_encoder_adapter_loads_with_peft(sentiment_run: tether.run.Run) -> None:
    from peft import PeftModel

    base = load_backbone(ModelConfig(name="minilm-l6")).backbone.network
    adapted = PeftModel.from_pretrained(base, sentiment_run.folder / "adapter")
    names = [n for n, _ in adapted.named_parameters() if "lora_B" in n]
    assert len(names) == 6 * 6  # q, k, v, attention output and two feed-forward layers, six times


@pytest.fixture(scope="module")
def two_towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small image-text model after two of its twelve epochs."""
    folder = tmp_path_factory.mktemp("two-towers")
    build(folder, epochs=2)
    return folder


RDFT = ["method.name=rdft", "method.alpha=1", "method.mu=0.5", "method.target=shifted"]
ZERO_SHOT = ["model.head=zero_shot", 'model.templates=["a picture of a {}"]', "evaluate.shifts=[]"]


def test_zero_shot_on_held_out_emoji_is_well_above_chance(two_towers: Path, tmp_path: Path) -> None:
    """No label was seen in training, only names; the tested emoji were not seen at all."""
    small = ["data.limit={id_test: 200, ood_test: 20}", f"output={tmp_path / 'run'}"]
    run = tether.evaluate(str(two_towers), "emoji", [*ZERO_SHOT, *small])
    rows = [json.loads(line) for line in (run.folder / "results.jsonl").read_text().splitlines()]
    found = {r["metric"]: r["value"] for r in rows if r["evalset"] == "id_test"}
    assert found["accuracy"] > 0.40  # the largest class is .29 of them, chance .06
    assert found["balanced_accuracy"] > 0.30


def test_rdft_and_wise_ft_start_from_the_zero_shot_head(two_towers: Path, tmp_path: Path) -> None:
    small = ["data.limit={train: 120, id_val: 40, id_test: 40, ood_val: 40, ood_test: 20}", "train.steps=2"]
    for method in (RDFT, ["method.name=wise_ft"]):
        overrides = [*ZERO_SHOT, *small, *method, f"model.name={two_towers}", "train.batch_size=16"]
        run = tether.train("emoji", overrides, output=str(tmp_path / method[0].partition("=")[2]))
        first = json.loads((run.folder / "log.jsonl").read_text().splitlines()[0])["terms"]
        # The zero-shot student knows something at step 0 (ln 17 = 2.83 is chance), and equals its teacher.
        assert first["ce"] < 2.4
        assert abs(first.get("robust", 0.0)) < 1e-4
        assert run.summary["id_accuracy"] > 0.3
