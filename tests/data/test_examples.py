import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from tether.data import DataConfig, load_data
from tether.data.reading import Pictures

SPLITS = ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2 + ["ood_test"] * 2
LABELS = ["10", "9"] * 5
TEXTS = [f"007 {i}, “quoted”\nNA" for i in range(10)]
KEYS = {"source": "table", "label": "label", "split": "split"}


def load(path, **keys):
    return load_data(DataConfig.model_validate(KEYS | {"path": str(path)} | keys))


def write(path, columns):
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        import json

        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_texts_survive_every_format(tmp_path, table):
    columns = {"text": TEXTS, "label": LABELS, "split": SPLITS}
    paths = [table(**columns), write(tmp_path / "r.jsonl", columns), write(tmp_path / "r.parquet", columns)]
    bundles = [load(path, text="text") for path in paths]
    for bundle in bundles:
        batch = bundle.id_test.batch([1, 0])
        assert batch.x == (TEXTS[7], TEXTS[6])
        assert bundle.classes == ("9", "10")  # integers by value, not "10" < "9"
        assert batch.y.tolist() == [0, 1]
        assert batch.ids.tolist() == [7, 6]
        assert batch.group is None
    assert len({bundle.fingerprint for bundle in bundles}) == 1


@pytest.mark.parametrize("text", ["007", "NA", "null", "1e3"])
def test_csv_texts_are_never_guessed(table, text):
    columns = {"text": [text] * 10, "label": LABELS, "split": SPLITS}
    assert load(table(**columns), text="text").train.batch([0]).x == (text,)


@pytest.mark.parametrize("kind", ["path", "bytes", "dict", "nested path"])
def test_pictures_by_a_second_road(tmp_path, png, kind):
    raw = [png(i, (7, 5)) for i in range(10)]
    (tmp_path / "shots").mkdir()
    for i, content in enumerate(raw):
        (tmp_path / "shots" / f"{i}.png").write_bytes(content)
    names = [f"shots/{i}.png" for i in range(10)]
    column = {
        "path": names,
        "bytes": raw,
        "dict": [{"bytes": content, "path": None} for content in raw],
        "nested path": [{"bytes": None, "path": name} for name in names],
    }[kind]
    path = write(tmp_path / "r.parquet", {"image": column, "label": LABELS, "split": SPLITS})
    batch = load(path, image="image", size=3).train.batch([2, 0])
    assert batch.x.shape == (2, 3, 3, 3)
    assert batch.x.dtype == torch.float32
    for row, i in enumerate([2, 0]):
        resized = Image.open(io.BytesIO(raw[i])).convert("RGB").resize((3, 3), Image.Resampling.BILINEAR)
        for x in range(3):
            for y in range(3):
                expected = [value / 255 for value in resized.getpixel((x, y))]
                assert batch.x[row, :, y, x].tolist() == pytest.approx(expected)


def test_resizing_antialiases():
    """Columns alternating black and white shrink to grey, not to one of the two."""
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    x = Pictures("image", root=None, size=8)([encoded(Image.fromarray(stripes))])
    assert x[..., 1:-1].sub(0.5).abs().max() < 0.02


def encoded(picture, **options):
    file = io.BytesIO()
    picture.save(file, format="PNG", **options)
    return file.getvalue()


def test_transparency_lies_on_white_and_16_bits_are_not_clipped():
    read = Pictures("image", root=None)
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert read([encoded(clear)]).tolist() == torch.ones(1, 3, 2, 2).tolist()
    deep = Image.fromarray(np.array([[0, 32896], [65535, 257]], dtype=np.uint16))
    assert (read([encoded(deep)])[0, 0] * 255).round().tolist() == [[0, 128], [255, 1]]


def test_exif_orientation_is_obeyed():
    picture = Image.new("RGB", (2, 1))
    picture.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side: turn a quarter clockwise
    x = Pictures("image", root=None)([encoded(picture, exif=exif)])
    assert x.shape == (1, 3, 2, 1)
    assert x[0, 0, :, 0].tolist() == [1, 0]


def test_ids_are_source_rows_whatever_the_split(table):
    columns = {"text": [f"t{i}" for i in range(60)], "label": ["a", "b"] * 30}
    for keys in (
        {},
        {"seed": 3},
        {"limit": {"train": 10, "id_test": 4}},
        {"fractions": {"train": 0.8, "id_val": 0.1, "id_test": 0.1}},
    ):
        bundle = load(table(**columns), split=None, text="text", **keys)
        everything = [
            (int(i), text)
            for examples in bundle.sets().values()
            for i, text in zip(examples.ids, examples.batch(range(len(examples))).x, strict=True)
        ]
        assert all(text == f"t{i}" for i, text in everything)
        assert len({i for i, _ in everything}) == len(everything)


def test_subset_keeps_ids_and_order(table):
    columns = {"text": TEXTS, "label": LABELS, "split": SPLITS}
    part = load(table(**columns), text="text").train.subset([3, 1])
    assert part.ids.tolist() == [3, 1]
    assert part.batch([0]).x == (TEXTS[3],)
    assert part.subset([1]).labels.tolist() == [0]
    assert len(part.subset([])) == 0
    assert part.subset([]).batch([]).x == ()
    with pytest.raises(IndexError, match="0 to 1"):
        part.batch([2])


def test_group_is_the_domain(table):
    domains = ["home"] * 8 + ["away"] * 2
    path = table(text=TEXTS, label=LABELS, split=SPLITS, where=domains)
    bundle = load(path, text="text", domain="where")
    assert bundle.groups == ("away", "home")
    assert bundle.ood_test["away"].batch([0]).group.tolist() == [0]
    assert bundle.train.batch([0]).group.tolist() == [1]


def test_class_label_column_brings_its_names(tmp_path):
    import datasets

    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "y": datasets.ClassLabel(names=["zebra", "ant"]),
            "split": datasets.Value("string"),
        }
    )
    columns = {"text": TEXTS, "y": [0, 1] * 5, "split": SPLITS}
    pq.write_table(datasets.Dataset.from_dict(columns, features=features).data.table, tmp_path / "r.parquet")
    bundle = load(tmp_path / "r.parquet", text="text", label="y")
    assert bundle.classes == ("zebra", "ant")
    assert bundle.train.labels.tolist() == [0, 1, 0, 1]


def test_pandas_categories_and_float_integers_are_labels(tmp_path):
    columns = {"text": TEXTS, "split": SPLITS}
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table(columns | {"label": pa.array(LABELS).dictionary_encode()}), path)
    assert load(path, text="text").classes == ("9", "10")
    pq.write_table(pa.table(columns | {"label": [1.0, 2.0] * 5}), path)
    assert load(path, text="text").classes == ("1", "2")


def test_a_worker_process_can_take_the_examples_along(table):
    bundle = load(table(text=TEXTS, label=LABELS, split=SPLITS), text="text")
    assert pickle.loads(pickle.dumps(bundle)).train.batch([1]).x == (TEXTS[1],)  # noqa: S301 (our own bytes)
