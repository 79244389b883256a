"""Data sets of the `datasets` library: by name, and saved to disk."""

import json

import datasets
import pytest

from tether.data import DataConfig, load_data
from tether.errors import RequestError


def part(first, n=8, names=("no", "yes")):
    features = datasets.Features({"text": datasets.Value("string"), "y": datasets.ClassLabel(names=names)})
    columns = {"text": [f"t{first + i}" for i in range(n)], "y": [i % 2 for i in range(n)]}
    return datasets.Dataset.from_dict(columns, features=features)


def load(source, **keys):
    keys = {"source": source, "text": "text", "label": "y"} | keys
    return load_data(DataConfig.model_validate(keys))


def sizes(bundle):
    return {name: len(examples) for name, examples in bundle.sets().items()}


def test_saved_splits_keep_their_roles(tmp_path):
    parts = {"train": part(0), "validation": part(10), "test": part(20), "unsupervised": part(30)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    bundle = load("saved", path=str(tmp_path / "d"))
    assert sizes(bundle) == {"train": 8, "id_val": 8, "id_test": 8}
    assert bundle.classes == ("no", "yes")
    assert bundle.id_test.batch([7]).x == ("t27",)
    assert bundle.id_test.labels.tolist() == [0, 1] * 4


def test_saved_splits_by_name(tmp_path):
    datasets.DatasetDict({"a": part(0), "b": part(10), "c": part(20)}).save_to_disk(tmp_path / "d")
    with pytest.raises(RequestError, match="expected a split named train among a, b, c"):
        load("saved", path=str(tmp_path / "d"))
    splits = {"train": "a", "ood_val/mail": "b", "ood_test/web": "c"}
    bundle = load("saved", path=str(tmp_path / "d"), splits=splits)
    assert sizes(bundle)["ood_test/web"] == 8
    assert sum(sizes(bundle)[name] for name in ("train", "id_val", "id_test")) == 8
    for wrong, match in (({"train": "z"}, "no split 'z'"), ({"ood_test": "c"}, "ood_test/<domain>")):
        with pytest.raises(RequestError, match=match):
            load("saved", path=str(tmp_path / "d"), splits=wrong)


def test_one_saved_set_is_divided_like_a_table(tmp_path):
    part(0, 40).save_to_disk(tmp_path / "d")
    bundle = load("saved", path=str(tmp_path / "d"))
    assert sizes(bundle) == {"train": 28, "id_val": 6, "id_test": 6}
    with pytest.raises(RequestError, match="no column 'txt'; did you mean 'text'"):
        load("saved", path=str(tmp_path / "d"), text="txt")


def test_splits_with_classes_in_another_order_are_refused(tmp_path):
    parts = {"train": part(0), "test": part(10, names=("yes", "no"))}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    with pytest.raises(RequestError, match=r"the column 'y' is .*'no', 'yes'.* in train"):
        load("saved", path=str(tmp_path / "d"))


def test_a_folder_that_is_not_saved_data(tmp_path):
    with pytest.raises(RequestError, match=r"expected state\.json"):
        load("saved", path=str(tmp_path))
    (tmp_path / "data.pkl").write_bytes(b"")
    with pytest.raises(RequestError, match=r"the pickle 'data\.pkl'"):
        load("saved", path=str(tmp_path))


def test_a_saved_folder_that_points_out_of_itself_is_refused(tmp_path):
    part(0, 40).save_to_disk(tmp_path / "d")
    part(0, 40).save_to_disk(tmp_path / "other")
    state = json.loads((tmp_path / "d" / "state.json").read_text())
    name = state["_data_files"][0]["filename"]
    state["_data_files"][0]["filename"] = f"../other/{name}"
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    with pytest.raises(RequestError, match=r"names the file '\.\./other/"):
        load("saved", path=str(tmp_path / "d"))
    state["_data_files"][0]["filename"] = "gone.arrow"
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    with pytest.raises(RequestError, match=r"'gone\.arrow' is missing"):
        load("saved", path=str(tmp_path / "d"))


def test_hub_asks_the_library_and_trusts_no_code(monkeypatch):
    asked = {}

    def fake(name, subset=None, **keys):
        asked.update(keys, name=name, subset=subset)
        return datasets.DatasetDict({"train": part(0, 40)})

    monkeypatch.setattr(datasets, "load_dataset", fake)
    bundle = load("hub", name="reviews", subset="en", revision="v2")
    assert sizes(bundle)["train"] == 28
    assert bundle.name == "reviews"
    assert (asked["name"], asked["subset"], asked["revision"]) == ("reviews", "en", "v2")
    assert "trust_remote_code" not in asked


def test_hub_without_a_network_says_what_to_do(monkeypatch):
    def fake(name, subset=None, **keys):
        raise ConnectionError("Couldn't reach the hub")

    monkeypatch.setattr(datasets, "load_dataset", fake)
    with pytest.raises(RequestError, match=r"'reviews' could not be loaded.*source: saved"):
        load("hub", name="reviews")
    with pytest.raises(RequestError, match="is a file format"):
        load("hub", name="csv")
