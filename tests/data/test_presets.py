import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from tether.data import DataConfig, digits, examine, list_presets, load_data, prepare, presets, sentiment
from tether.data.presets import Preset

TINY = {
    "text": [f"t{i}" for i in range(12)],
    "label": ["a", "b"] * 6,
    "split": ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2 + ["ood_test"] * 4,
    "domain": ["home"] * 8 + ["away"] * 4,
}


@pytest.fixture
def tiny(monkeypatch):
    built = []

    def build():
        built.append(1)
        return TINY

    keys = {"source": "table", "text": "text", "label": "label", "domain": "domain", "split": "split"}
    preset = Preset("tiny rows", 1, (), build, keys | {"limit": {"ood_test/away": 2}})
    monkeypatch.setattr(presets, "PRESETS", {"tiny": preset})
    return built


def test_prepared_once_and_anew_for_another_recipe(tiny, cache):
    folder = prepare("tiny")
    assert folder == cache / "data" / "tiny"
    first = (folder / "table.parquet").read_bytes()
    prepare("tiny")
    assert len(tiny) == 1
    meta = json.loads((folder / "meta.json").read_text())
    assert {"split": "id_val", "domain": "home", "label": "a", "n": 1} in meta["rows"]
    (folder / "meta.json").write_text(json.dumps(meta | {"recipe": 0}))
    assert (prepare("tiny") / "table.parquet").read_bytes() == first  # deterministic
    assert len(tiny) == 2


def test_a_preset_is_a_table_config(tiny):
    bundle = load_data(DataConfig.model_validate({"preset": "tiny", "shifts": {"val": ["fog"]}}))
    assert (bundle.name, len(bundle.ood_test["away"])) == ("tiny", 2)
    assert (bundle.val_shifts, bundle.test_shifts) == (("fog",), None)


@pytest.mark.parametrize("limit", [{"ood_test": 4}, {"ood_test/away": None}])
def test_the_users_limit_replaces_the_presets(tiny, limit):
    assert len(load_data(DataConfig(preset="tiny", limit=limit)).ood_test["away"]) == 4


def test_list_presets():
    assert [name for name, _ in list_presets()] == ["digits", "emoji", "sentiment"]


def test_optdigits_are_drawn_as_mnist_draws():
    framed = digits._framed(np.full((8, 8), 16.0))
    assert framed.shape == (28, 28)
    assert (framed[4:24, 4:24] == 255).all()
    assert framed.sum() == 255 * 20 * 20


def test_sentiment_rows():
    lines = ["3_1\t-2.5\tfish &amp; chips \r\n", "3_2\t0.4\tso-so\n", "4_1\t0.5\ta\tb\u2028c\n"]
    assert list(sentiment._rows("amazon", lines)) == [
        ("amazon/3", "negative", "fish & chips"),
        ("amazon/4", "positive", "a\tb\u2028c"),
    ]


@pytest.mark.integration
def test_digits():
    bundle = load_data(DataConfig.model_validate("digits"))
    assert {name: len(s) for name, s in bundle.sets().items()} == {
        "train": 2000,
        "id_val": 500,
        "id_test": 1000,
        "ood_test/optdigits": 1000,
    }
    assert bundle.classes == tuple("0123456789")
    assert np.bincount(bundle.train.labels).tolist() == [200] * 10
    assert bundle.train.batch([0]).x.shape == (1, 3, 64, 64)
    assert not examine(bundle).leakage


@pytest.mark.integration
def test_sentiment():
    columns = pq.read_table(prepare("sentiment") / "table.parquet").to_pydict()
    assert Counter(columns["domain"]) == {"tweets": 3432, "amazon": 2985, "nyt": 2970, "movie": 10072}
    bundle = load_data(DataConfig.model_validate("sentiment"))
    assert {name: len(s) for name, s in bundle.sets().items()} == {
        "train": 2400,
        "id_val": 400,
        "id_test": 632,
        "ood_val/amazon": 1000,
        "ood_test/movie": 1500,
        "ood_test/nyt": 1000,
    }
    assert bundle.classes == ("negative", "positive")
    assert not examine(bundle).leakage


@pytest.mark.integration
@pytest.mark.parametrize("name", ["digits", "emoji", "sentiment"])
def test_rebuilding_gives_the_same_rows(name):
    columns = presets.PRESETS[name].build()
    assert columns == pq.read_table(prepare(name) / "table.parquet").to_pydict()
