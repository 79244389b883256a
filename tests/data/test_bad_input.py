"""Every fault of the data is a RequestError that says what was expected, what came, and where."""

import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tether.data import DataConfig, load_data
from tether.errors import RequestError

SPLITS = ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2
LABELS = ["a", "b"] * 4
TEXTS = [f"text {i}" for i in range(8)]
COLUMNS = {"text": TEXTS, "label": LABELS, "split": SPLITS}
KEYS = {"source": "table", "text": "text", "label": "label", "split": "split"}


def refused(match: str, path, **keys):
    with pytest.raises(RequestError, match=match):
        load_data(DataConfig.model_validate(KEYS | {"path": str(path)} | keys))


def changed(column, row, value):
    return COLUMNS | {column: [value if i == row else v for i, v in enumerate(COLUMNS[column])]}


def test_the_untouched_table_loads(table):
    """Without this the refusals below could all have one other cause."""
    bundle = load_data(DataConfig.model_validate(KEYS | {"path": str(table(**COLUMNS))}))
    assert [len(s) for s in bundle.sets().values()] == [4, 2, 2]
    assert bundle.classes == ("a", "b")


def test_missing_file_names_the_nearest(table):
    path = table("reviews.csv", **COLUMNS)
    refused(r"did you mean 'reviews\.csv'", path.with_name("review.csv"))
    refused("there is no folder", path.parent / "nowhere" / "reviews.csv")


def test_other_kind_of_file(tmp_path):
    refused("expected a table", tmp_path / "rows.xlsx")


@pytest.mark.parametrize("content", ["", "text,label,split\n"])
def test_empty(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    refused("the table is empty", path)


def test_empty_json_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("")
    refused("the table is empty", path)


def test_missing_column_names_the_nearest(table):
    refused("no column 'lable'; did you mean 'label'", table(**COLUMNS), label="lable")


def test_ragged_csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label,split\nx,a,train\ny,b\n")
    refused("expected a whole csv file", path)


def test_not_utf8(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label,split\nx\xff,a,train\n")
    refused("UTF-8", path)


@pytest.mark.parametrize("label", ["", "  "])
def test_blank_label(table, label):
    refused("label column 'label', row 3 has", table(**changed("label", 3, label)))


@pytest.mark.parametrize("labels", [[0.0, 1.0, 0.0, 0.37], [0, 1, None, 1]])
def test_label_that_does_not_parse(tmp_path, labels):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": TEXTS, "label": labels * 2, "split": SPLITS}), path)
    row, came = (3, "0.37") if 0.37 in labels else (2, "nothing")
    refused(rf"row {row} has {came}", path)


def test_label_outside_the_given_classes(table):
    refused("label 'b' in row 1 is not among", table(**COLUMNS), classes=["a", "be"])


def test_single_class(table):
    refused("two classes or more", table(**COLUMNS | {"label": ["a"] * 8}))


def test_class_that_train_lacks(table):
    refused(r"id_test holds the classes \['c'\]", table(**changed("label", 7, "c")))


def test_train_of_a_single_class(table):
    refused("train holds only the class 'a'", table(**COLUMNS | {"label": list("aaaaabab")}))


def test_unknown_split(table):
    refused("unknown split 'test' in row 6.*'id_test'", table(**changed("split", 6, "test")))


def test_missing_split(table):
    refused("expected rows for id_val", table(**COLUMNS | {"split": ["train"] * 6 + ["id_test"] * 2}))


def test_text_that_is_no_string(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(changed("text", 5, None)), path)
    refused(r"row 5, column 'text': expected a text, came nothing", path)
    pq.write_table(pa.table(COLUMNS | {"text": list(range(8))}), path)
    refused("row 0, column 'text': expected a text, came a value of type int", path)


def lines_of(rows):
    return "\n".join(json.dumps(row) for row in rows)


def test_json_lines_name_the_row_of_another_kind(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    path.write_text(lines_of(rows))
    load_data(DataConfig.model_validate(KEYS | {"path": str(path)}))
    rows[4]["text"] = 7
    path.write_text(lines_of(rows))
    refused("'text' holds a int in row 4, a str before", path)
    path.write_text(lines_of(rows[:2]) + "\n[1, 2]\n")
    refused("row 2 is a list", path)
    path.write_text(lines_of(rows[:2]) + "\n{broken\n")
    refused("row 2 is none", path)


def pictures(tmp_path, png):
    for i in range(8):
        (tmp_path / f"{i}.png").write_bytes(png(i))
    return {"image": [f"{i}.png" for i in range(8)], "label": LABELS, "split": SPLITS}


@pytest.mark.parametrize("fault", ["cut", "text", "gone"])
def test_corrupt_picture(tmp_path, table, png, fault):
    path = table(**pictures(tmp_path, png))
    broken = tmp_path / "3.png"
    if fault == "cut":
        broken.write_bytes(png(3)[:-40])
    elif fault == "text":
        broken.write_text("no picture")
    else:
        broken.unlink()
    refused(r"row 3, column 'image', file '3\.png'", path, text=None, image="image")
    keys = KEYS | {"path": str(path), "text": None, "image": "image"}
    bundle = load_data(DataConfig.model_validate(keys | {"on_error": "skip"}))
    assert bundle.skipped == 1
    assert bundle.train.ids.tolist() == [0, 1, 2]  # the others keep their ids and their sets


def test_nothing_readable(table):
    columns = {"image": ["gone.png"] * 8, "label": LABELS, "split": SPLITS}
    refused("none of the 8 rows", table(**columns), text=None, image="image", on_error="skip")


@pytest.mark.parametrize("side", [9500, 14000])  # beyond Pillow's warning, beyond its error
def test_absurd_picture(tmp_path, table, png, side):
    path = table(**pictures(tmp_path, png))
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, format="PNG")
    (tmp_path / "2.png").write_bytes(file.getvalue())
    refused(r"row 2.*beyond 89478485", path, text=None, image="image")


def test_pictures_of_several_sizes_need_one(tmp_path, table, png):
    columns = pictures(tmp_path, png)
    (tmp_path / "1.png").write_bytes(png(1, (5, 5)))
    keys = KEYS | {"path": str(table(**columns)), "text": None, "image": "image"}
    bundle = load_data(DataConfig.model_validate(keys))
    with pytest.raises(RequestError, match=r"set data\.size"):
        bundle.train.batch([0, 1])
    assert bundle.at(4).train.batch([0, 1]).x.shape == (2, 3, 4, 4)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({}, "expected `preset: NAME` or `source: table`"),
        ({"preset": "digits", "path": "x.csv"}, "settles path itself"),
        ({"preset": "digits", "sise": 3}, "did you mean 'size'"),
        ({"preset": "digits", "shifts": {"trian": []}}, "did you mean 'train'"),
        ({"source": "table", "text": "t", "label": "l"}, "needs path"),
        (KEYS | {"path": "x.csv", "image": "i"}, "both came"),
        ({"source": "table", "path": "x.csv", "label": "l"}, "neither came"),
        (KEYS | {"path": "x.csv", "fractions": {}}, "one of the two roads"),
        (KEYS | {"path": "x.csv", "split": None, "ood_domains": {"val": ["a"]}}, "needs `domain`"),
        (
            KEYS | {"path": "x", "split": None, "domain": "d", "ood_domains": {"val": ["a"], "test": ["a"]}},
            "in val and in test",
        ),
        ({"preset": "digits", "limit": {"trian": 3}}, "did you mean 'train'"),
        ({"preset": "digits", "limit": {"train": 0}}, "at least 1 row"),
        (KEYS | {"path": "x.csv", "split": None, "fractions": {"train": 0.9}}, "add up to 1.2"),
    ],
)
def test_config_that_contradicts_itself(config, match):
    with pytest.raises(RequestError, match=re.escape(match)):
        DataConfig.model_validate(config)


def test_unknown_preset():
    with pytest.raises(RequestError, match="did you mean 'digits'"):
        load_data(DataConfig(preset="digit"))
