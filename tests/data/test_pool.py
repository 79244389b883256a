"""Unlabelled pools: every source, without a label anywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from PIL import Image

from tether.data import DataConfig, load_data, presets, read_pool
from tether.data.presets import Preset
from tether.errors import RequestError


def texts(pool) -> list[str]:
    return list(pool.examples.batch(range(len(pool.examples))).x)


def test_folder_flat_or_nested(tmp_path, picture):
    for name in ("b.png", "a.png", "deep/er/c.png"):
        picture(tmp_path / "photos" / name)
    pool = read_pool(str(tmp_path / "photos")).at(8)
    assert pool.examples.batch([0, 1, 2]).x.shape == (3, 3, 8, 8)
    assert pool.examples.labels.tolist() == [-100] * 3
    assert pool.domains == ()
    same = read_pool({"source": "folder", "path": str(tmp_path / "photos")}).at(8)
    assert same.fingerprint == pool.fingerprint
    assert pool.at(4).fingerprint != pool.fingerprint


def test_table_without_a_label(tmp_path, table):
    path = table(text=["one", "two", "three"], where=["sea", "land", "sea"])
    assert texts(read_pool(str(path))) == ["one", "two", "three"]
    pool = read_pool({"source": "table", "path": str(path), "text": "text", "domain": "where"})
    assert [pool.domains[c] for c in pool.examples.groups] == ["sea", "land", "sea"]
    lines = tmp_path / "rows.jsonl"
    lines.write_text("\n".join(json.dumps({"text": t, "n": 1}) for t in "xyz"))
    assert texts(read_pool(str(lines))) == ["x", "y", "z"]


def test_lines_saved_and_objects(tmp_path):
    (tmp_path / "a.txt").write_text("first\n\n  second \nthird")
    assert texts(read_pool(str(tmp_path / "a.txt"))) == ["first", "second", "third"]
    one, two = ({"body": [f"{k}{i}" for i in range(3)], "n": [1, 2, 3]} for k in "ab")
    both = DatasetDict({"train": Dataset.from_dict(one), "unsupervised": Dataset.from_dict(two)})
    both.save_to_disk(tmp_path / "saved")
    spec = {"source": "saved", "path": str(tmp_path / "saved"), "text": "body"}
    assert texts(read_pool(spec)) == ["a0", "a1", "a2", "b0", "b1", "b2"]
    assert texts(read_pool(spec | {"splits": ["unsupervised"]})) == ["b0", "b1", "b2"]
    assert texts(read_pool(["x", "y"])) == ["x", "y"]
    pictures = [Image.fromarray(np.full((5, 5, 3), 50 * i, np.uint8)) for i in range(3)]
    found = read_pool(pictures).examples.batch([2]).x
    assert found.unique().tolist() == pytest.approx([100 / 255])


def test_examples_lose_their_labels(table):
    path = table(text=[f"t{i}" for i in range(40)], label=["a", "b"] * 20)
    bundle = load_data(DataConfig(source="table", path=str(path), text="text", label="label"))
    pool = read_pool(bundle.train)
    assert pool.examples.batch([0]).y.tolist() == [-100]
    assert pool.examples.ids.tolist() == bundle.train.ids.tolist()


def test_preset_gives_all_its_sets(monkeypatch):
    columns = {
        "text": ["p", "q", "r"],
        "label": ["a", "b", "a"],
        "domain": ["id", "id", "far"],
        "split": ["train", "id_test", "ood_test"],
    }
    config = {"source": "table", "text": "text", "label": "label", "domain": "domain", "split": "split"}
    monkeypatch.setattr(
        presets, "PRESETS", {"tiny": Preset("tiny", 1, (), lambda: columns, config | {"limit": {"train": 1}})}
    )
    pool = read_pool({"preset": "tiny"})
    assert texts(pool) == ["p", "q", "r"]
    assert [pool.domains[c] for c in pool.examples.groups] == ["id", "id", "far"]


def test_limit_and_broken_pictures(tmp_path, picture):
    for i in range(20):
        picture(tmp_path / "p" / f"{i:02d}.png")
    (tmp_path / "p" / "07.png").write_bytes(b"no picture")
    spec = {"source": "folder", "path": str(tmp_path / "p")}
    with pytest.raises(RequestError, match=r"07\.png"):
        read_pool(spec)
    pool = read_pool(spec | {"on_error": "skip"})
    assert (len(pool.examples), pool.skipped) == (19, 1)
    draws = [read_pool(spec | {"on_error": "skip", "limit": 5, "seed": s}).examples.ids for s in (1, 1, 2)]
    assert len(draws[0]) <= 5
    assert draws[0].tolist() == draws[1].tolist() != draws[2].tolist()


def test_requests_that_make_no_sense(tmp_path, table):
    path = str(table(body=["one"], note=["two"]))
    (tmp_path / "empty.txt").write_text("\n\n")
    for spec, message in [
        ("emojy", "did you mean 'emoji'"),
        ({"source": "table"}, "pool.path"),
        ({"path": path}, "expected `preset: NAME` or `source`"),
        ({"source": "table", "path": path, "labl": "x"}, "no such option"),
        ({"source": "folder", "path": path, "text": "x"}, "does not read it"),
        ({"source": "table", "path": path}, "columns body, note"),
        ({"source": "table", "path": path, "text": "bodi"}, "did you mean 'body'"),
        ({"source": "saved", "path": str(tmp_path)}, "`text` or an `image` column"),
        ({"source": "lines", "path": str(tmp_path / "none.txt")}, "there is no file"),
        (str(tmp_path / "empty.txt"), "the file has none"),
        ({"source": "lines", "path": path, "limit": 0}, "at least 1"),
        ([], "none came"),
        (["x", Image.new("RGB", (2, 2))], "both came"),
        (3, "got a int"),
    ]:
        with pytest.raises(RequestError, match=message):
            read_pool(spec)
