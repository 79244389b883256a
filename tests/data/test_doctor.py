import io

import numpy as np
import pytest
from rich.console import Console

from tether.data import DataConfig, examine, from_objects, load_data
from tether.data.doctor import lines, show
from tether.errors import RequestError

SPLITS = ["train"] * 4 + ["id_val"] * 2 + ["id_test"] * 2 + ["ood_test"] * 2
COLUMNS = {
    "text": [f"t{i}" for i in range(10)],
    "label": ["a", "a", "a", "b", "a", "b", "a", "b", "a", "b"],
    "split": SPLITS,
    "domain": ["home"] * 8 + ["away"] * 2,
}


def findings(table, **columns):
    keys = {"source": "table", "text": "text", "label": "label", "split": "split", "domain": "domain"}
    path = table(**COLUMNS | columns)
    return examine(load_data(DataConfig.model_validate(keys | {"path": str(path)})))


def test_clean_data(table):
    found = findings(table)
    assert found.counts["train"] == {"a": 3, "b": 1}
    assert found.counts["ood_test/away"] == {"a": 1, "b": 1}
    assert found.imbalance == 3
    assert not found.leakage
    assert lines(found) == ["leakage: none found"]


def test_exact_duplicates_across_uses_are_leakage(table):
    texts = [*COLUMNS["text"][:6], "t0", "t4", "t1", "t6"]
    found = findings(table, text=texts)
    # t0 and t1 are training rows, t4 a validation row; t6 appears nowhere else any more.
    assert found.duplicates == {
        ("train", "id_test"): 1,
        ("train", "ood_test/away"): 1,
        ("id_val", "id_test"): 1,
    }
    assert found.leakage


def test_duplicates_within_one_use_are_not(table):
    assert not findings(table, text=["t0", *COLUMNS["text"][:1], *COLUMNS["text"][2:]]).leakage


def test_a_training_domain_is_not_out_of_distribution(table):
    found = findings(table, domain=["home"] * 10)
    assert found.shared_domains == ("ood_test/home",)
    assert found.leakage


def test_show_prints_counts_and_verdict(table):
    out = io.StringIO()
    show(findings(table), Console(file=out, width=100))
    assert "ood_test/away" in out.getvalue()
    assert "leakage: none found" in out.getvalue()


def bundle_of_points(labels, test_labels, points, test_points):
    texts = [f"{x:.3f} {y:.3f}" for x, y in points]
    test_texts = [f"{x:.3f} {y:.3f}" for x, y in test_points]
    return from_objects(
        (texts, labels), (["9 9", "8 8"], [0, 1]), (test_texts, test_labels), classes=["a", "b"]
    )


def coordinates(batch):
    return np.array([[float(number) for number in text.split()] for text in batch.x])


POINTS = [(1 + i / 100, 5.0) if i % 2 else (5.0, 1 + i / 100) for i in range(20)]
LABELS = [i % 2 for i in range(20)]


def test_near_duplicates_are_shown_and_not_called_leakage():
    found = examine(bundle_of_points(LABELS, [0, 1], POINTS, [(10.0, 2.1), (-3.0, 1.0)]), embed=coordinates)
    assert found.near == {("train", "id_test"): 1}
    assert not found.leakage
    assert "1 rows of id_test are the same as one of train, or nearly: look at them" in lines(found)


def test_exchanged_labels_are_noticed():
    test = [(x + 0.005, y) for x, y in POINTS]
    swapped = examine(bundle_of_points(LABELS, [1 - y for y in LABELS], POINTS, test), embed=coordinates)
    assert "the labels of id_test look exchanged: 100% of its rows" in swapped.order[0]
    assert examine(bundle_of_points(LABELS, LABELS, POINTS, test), embed=coordinates).order == ()


def test_a_models_own_class_order(table):
    keys = {"source": "table", "text": "text", "label": "label", "split": "split"}
    bundle = load_data(DataConfig.model_validate(keys | {"path": str(table(**COLUMNS))}))
    assert examine(bundle, model_classes=["a", "b"]).order == ()
    assert (
        "class 0 is 'a' in the data, 'b' in the model" in examine(bundle, model_classes=["b", "a"]).order[0]
    )
    assert "lacks 1 of the data's 2 classes, 'b'" in examine(bundle, model_classes=["a", "c"]).order[0]


def test_text_length_against_a_limit(table):
    texts = ["one two three", *COLUMNS["text"][1:]]
    keys = {"source": "table", "text": "text", "label": "label", "split": "split"}
    bundle = load_data(DataConfig.model_validate(keys | {"path": str(table(**COLUMNS | {"text": texts}))}))

    def count(batch):
        return [len(text.split()) for text in batch]

    found = examine(bundle, count_tokens=count, max_tokens=2)
    assert (found.lengths["train"].cut, found.lengths["train"].longest, found.lengths["train"].median) == (
        1,
        3,
        1,
    )
    assert found.lengths["id_test"].cut == 0
    said = "1 of 4 texts of train are longer than the model's 2 tokens and are cut (median 1, longest 3)"
    assert said in lines(found)
    assert not any("longer" in line for line in lines(examine(bundle, count_tokens=count, max_tokens=3)))


def test_domains_missing_classes_and_corrupt_files_are_shown(tmp_path, table, picture):
    for i in range(10):
        picture(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_text("broken")
    columns = {key: COLUMNS[key] for key in ("split", "domain")}
    labels = [*COLUMNS["label"][:8], "a", "a"]
    path = table(image=[f"{i}.png" for i in range(10)], label=labels, **columns)
    keys = {"source": "table", "image": "image", "label": "label", "split": "split", "domain": "domain"}
    with pytest.raises(RequestError, match="train holds only the class 'a'"):  # row 3 was the only b
        load_data(DataConfig.model_validate(keys | {"path": str(path), "on_error": "skip"}))
    labels[2] = "b"
    path = table(image=[f"{i}.png" for i in range(10)], label=labels, **columns)
    found = examine(load_data(DataConfig.model_validate(keys | {"path": str(path), "on_error": "skip"})))
    assert found.groups["train"] == {"away": 0, "home": 3}
    assert found.groups["ood_test/away"] == {"away": 2, "home": 0}
    assert found.absent == {"ood_test/away": ("b",)}
    out = io.StringIO()
    show(found, Console(file=out, width=120))
    assert "ood_test/away has no row of 1 classes, 'b' among them" in out.getvalue()
    assert "row 3, column 'image', file '3.png': not a whole picture" in out.getvalue()
    assert "rows per domain or group and set" in out.getvalue()
