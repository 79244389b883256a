"""The model card: what the hub's own reader makes of it, and what a person must find in it."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest
import run_folder
import yaml
from huggingface_hub import ModelCard
from sklearn.metrics import f1_score

from tether.report.card import card_text, write_card
from tether.report.card_front import base_name, data_name, hub_id
from tether.report.records import Measurement
from tether.report.runs import read_run


@pytest.fixture
def rdft(runs):
    return next(r for r in runs if r.method == "rdft" and r.seed == 0)


def macro(s):
    return f1_score(s.labels, s.probabilities.argmax(1), average="macro")


def test_the_hub_reads_every_number(rdft, tmp_path):
    """Parsed back by the hub's library; accuracy and macro-F1 by scikit-learn."""
    rows = [
        Measurement(s.key.evalset, s.key.kind, s.key.severity, "macro_f1", macro(s), math.nan, math.nan, 400)
        for s in rdft.sets
    ]
    run = replace(rdft, results=(*rdft.results, *rows))
    card = ModelCard.load(write_card(run, tmp_path / "README.md"))
    found = {
        (r.dataset_config, r.metric_type): (r.metric_value, r.metric_args) for r in card.data.eval_results
    }
    assert len(found) == len(card.data.eval_results) == 2 * len(run.sets)
    for s in run.sets:
        accuracy = (s.probabilities.argmax(1) == s.labels).mean()
        assert found[str(s.key), "accuracy"] == (pytest.approx(accuracy, abs=1e-6), None)
        assert found[str(s.key), "f1"] == (pytest.approx(macro(s), abs=1e-6), {"average": "macro"})
    assert card.data.library_name == "tether"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.data.base_model_relation == "finetune"
    assert card.data.model_name == "minilm-l6 rdft"
    assert "rdft" in card.data.tags


def test_it_comes_out_of_the_hubs_reader_as_it_went_in(rdft, tmp_path):
    path = write_card(rdft, tmp_path / "README.md")
    card = ModelCard.load(path)
    again = tmp_path / "again.md"
    card.save(again)
    assert ModelCard.load(again).data.to_dict() == card.data.to_dict()
    assert ModelCard.load(again).text == card.text
    assert path.read_text() == card_text(rdft)


def test_a_hub_data_set_is_named_and_a_local_one_is_not(rdft):
    hub = {"source": "hub", "name": "owner/texts"}
    card = ModelCard(card_text(replace(rdft, config={**rdft.config, "data": hub})))
    assert card.data.datasets == ["owner/texts"]
    local = {"source": "table", "path": "/home/me/secret/reviews.csv", "preset": None}
    run = replace(rdft, config={**rdft.config, "data": local}, config_text="")
    card = ModelCard(card_text(run))
    assert card.data.datasets is None
    assert data_name(run) == "reviews"
    assert "/home/me" not in str(card)
    assert data_name(replace(rdft, config={"data": {"preset": "emoji", "size": 112}})) == "emoji"


def test_base_models(rdft, tmp_path):
    assert hub_id("owner/model") == "owner/model"
    assert hub_id("efficientnet-lite0") is None
    for path in ("./owner/model", "/models/owner", str(tmp_path)):
        assert hub_id(path) is None
    run = replace(rdft, config={"model": {"name": "/home/me/bert", "source": "auto"}})
    assert base_name(run) == "bert"
    assert ModelCard(card_text(run)).data.base_model is None


def test_it_says_use_limits_training_cost_and_how_to_repeat_it(rdft, tmp_path):
    folder = shutil.copytree(rdft.folder, tmp_path / "run")
    (folder / "data.json").write_text(json.dumps({"sizes": {"train": 640, "id_test": 400}}))
    summary = json.loads((folder / "summary.json").read_text())
    more = {
        "steps": 600,
        "mu": 0.65,
        "id_val_accuracy": 0.91,
        "ood_val_accuracy": 0.8,
        "latency_seconds": 0.012,
    }
    (folder / "summary.json").write_text(json.dumps({**summary, **more}))
    text = card_text(read_run(folder))
    for title in (
        "Intended use",
        "Results",
        "Limits",
        "Training",
        "Cost",
        "How to load",
        "How to get the same again",
    ):
        assert f"\n## {title}\n" in text
    assert "Used in training, so weaker evidence: fog." in text
    assert "| fog 3 | synthetic, seen in training |" in text
    assert "- Data: train 640, id_test 400 samples" in text
    assert "mu = 0.65" in text
    assert "no test set steered anything" in text
    assert "- Trained parameters: 147.5k of 22.7M" in text
    assert "- Latency of one prediction: 12 ms" in text
    assert "epochs 3" in text
    config = yaml.safe_load(text.split("````yaml\n")[1].split("````")[0])
    assert config == rdft.config


def test_nothing_that_a_run_says_becomes_markup(rdft):
    body = card_text(rdft).split("---", 2)[2]
    assert "<script>" not in body.split("## How to get the same again")[0]
    evil = replace(rdft, method="<img src=x>|`", config={**rdft.config, "model": "a|b<i>"})
    body = card_text(evil).split("---", 2)[2].split("## How to get the same again")[0]
    assert "<i" not in body
    assert yaml.safe_load(card_text(evil).split("---")[1])["model-index"]


def test_a_bare_run_has_a_card(tmp_path):
    folder = run_folder.write_run(tmp_path / "bare", "finetune", 0)
    for name in ("samples.json", "log.jsonl", "classes.json", "config.yaml"):
        (folder / name).unlink()
    text = card_text(read_run(folder))
    assert "does not say which shifts" in text
    assert ModelCard(text).data.pipeline_tag is None
