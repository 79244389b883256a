"""The fingerprint follows the content: one byte changes it, nothing else does."""

import shutil

import pytest

from tether.data import DataConfig, load_data

SPLITS = ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2
COLUMNS = {"text": [f"t{i}" for i in range(8)], "label": ["a", "b"] * 4, "split": SPLITS}
KEYS = {"source": "table", "text": "text", "label": "label", "split": "split"}


def mark(path, **keys):
    return load_data(DataConfig.model_validate(KEYS | {"path": str(path)} | keys)).fingerprint


def test_stays_when_the_folder_moves(tmp_path, table):
    path = table(**COLUMNS)
    (tmp_path / "moved").mkdir()
    moved = shutil.copy(path, tmp_path / "moved" / "other.csv")
    assert mark(path) == mark(path) == mark(moved)


@pytest.mark.parametrize("column", ["text", "label", "split"])
def test_changes_with_one_value(table, column):
    before = mark(table(**COLUMNS))
    other = {"text": "t3.", "label": "a", "split": "id_val"}[column]
    after = mark(table(**COLUMNS | {column: [*COLUMNS[column][:3], other, *COLUMNS[column][4:]]}))
    assert before != after


def test_changes_with_what_the_config_draws(table):
    path = table(**COLUMNS)
    assert len({mark(path), mark(path, limit={"train": 2}), mark(path, classes=["b", "a"])}) == 3


def test_pictures_by_their_pixels(tmp_path, table, png):
    columns = {"image": [f"{i}.png" for i in range(8)], "label": COLUMNS["label"], "split": SPLITS}
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    path, keys = table(**columns), {"text": None, "image": "image"}
    before = mark(path, **keys)
    assert before != mark(path, size=8, **keys)
    bundle = load_data(DataConfig.model_validate(KEYS | {"path": str(path)} | keys))
    assert bundle.at(8).fingerprint == mark(path, size=8, **keys)
    (tmp_path / "5.png").write_bytes(png(99))
    assert before != mark(path, **keys)
