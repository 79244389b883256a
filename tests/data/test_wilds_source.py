"""WILDS folders of the published layout, with a few rows each."""

import csv

import numpy as np
import pytest

from tether.data import DataConfig, load_data
from tether.errors import RequestError


def load(root, dataset):
    return load_data(DataConfig(source="wilds", dataset=dataset, path=str(root)))


def write(path, rows, index=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, [*([""] if index else []), *rows[0]])
        writer.writeheader()
        writer.writerows({"": i, **row} if index else row for i, row in enumerate(rows))


def sizes(bundle):
    return {name: len(examples) for name, examples in bundle.sets().items()}


def test_camelyon17(tmp_path, picture):
    root = tmp_path / "camelyon17_v1.0"
    rows = []
    for i, (center, split) in enumerate(
        [(0, 0)] * 4 + [(3, 1)] * 4 + [(1, 0)] * 2 + [(2, 1)] * 2 + [(4, 0)] * 2
    ):
        rows.append(
            {
                "patient": f"{4 + i:03d}",
                "node": 4,
                "x_coord": 32 * i,
                "y_coord": 7,
                "tumor": i % 2,
                "slide": 0,
                "center": center,
                "split": split,
            }
        )
        place = f"patches/patient_{4 + i:03d}_node_4"
        picture(root / place / f"patch_patient_{4 + i:03d}_node_4_x_{32 * i}_y_7.png")
    write(root / "metadata.csv", rows, index=True)
    bundle = load(tmp_path, "camelyon17")  # the folder above will do
    assert sizes(bundle) == {
        "train": 6,
        "id_val": 2,
        "id_test": 2,
        "ood_val/hospital 1": 2,
        "ood_test/hospital 2": 2,
    }
    assert bundle.classes == ("normal", "tumor")
    assert bundle.train.ids.tolist() == [0, 1, 2, 3, 12, 13]
    assert bundle.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert [bundle.groups[g] for g in bundle.train.groups] == ["hospital 0"] * 4 + ["hospital 4"] * 2
    (root / "patches" / "patient_009_node_4" / "patch_patient_009_node_4_x_160_y_7.png").unlink()
    with pytest.raises(RequestError, match=r"row 5, .*patch_patient_009_node_4_x_160_y_7\.png"):
        load(root, "camelyon17")


def test_fmow(tmp_path, picture):
    rows = []
    wanted = [
        ("train", "2010-05-03T09:36:27Z", "train"),
        ("val", "2012-12-31T23:59:59Z", "id_val"),
        ("test", "2009-01-01T00:00:00Z", "id_test"),
        ("val", "2013-01-01T00:00:00Z", "ood_val/2013 to 2015"),
        ("test", "2016-01-01T00:00:00Z", "ood_test/from 2016"),
        ("seq", "2010-01-01T00:00:00Z", None),
        ("train", "2014-01-01T00:00:00Z", None),
        ("val", "2017-01-01T00:00:00Z", None),
        ("test", "2014-01-01T00:00:00Z", None),
    ] * 2
    for i, (split, moment, _) in enumerate(wanted):
        category = ("zoo", "airport")[i >= 9]
        country = ("FRA", "KEN", "XYZ")[i % 3]
        rows.append({"split": split, "category": category, "timestamp": moment, "country_code": country})
        picture(tmp_path / "images" / f"rgb_img_{i}.png")
    write(tmp_path / "rgb_metadata.csv", rows)
    countries = [{"alpha-3": "FRA", "region": "Europe"}, {"alpha-3": "KEN", "region": "Africa"}]
    write(tmp_path / "country_code_mapping.csv", countries)
    bundle = load(tmp_path, "fmow")
    assert bundle.classes == ("airport", "zoo")
    assert bundle.dropped == 0  # unused by the published split is not lost to a group
    placed = {int(i): name for name, examples in bundle.sets().items() for i in examples.ids}
    assert placed == {i: name for i, (_, _, name) in enumerate(wanted) if name}
    assert [bundle.groups[g] for g in bundle.train.groups] == ["Europe", "Europe"]
    assert bundle.groups[bundle.id_test.groups[0]] == "Other"


def cams(tmp_path, picture):
    rows = []
    for i, split in enumerate(["train"] * 4 + ["id_val", "id_test", "val", "test"] * 2):
        rows.append({"split": split, "y": (10, 2)[i % 2], "location_remapped": i, "filename": f"{i}.jpg"})
        picture(tmp_path / "train" / f"{i}.jpg")
    return rows


def test_iwildcam(tmp_path, picture):
    rows = cams(tmp_path, picture)
    write(tmp_path / "metadata.csv", rows)
    bundle = load(tmp_path, "iwildcam")
    assert bundle.classes == ("2", "10")
    assert sizes(bundle)["ood_val/validation cameras"] == sizes(bundle)["ood_test/new cameras"] == 2
    assert bundle.train.labels.tolist() == [1, 0, 1, 0]
    assert bundle.groups[bundle.ood_test["new cameras"].groups[0]] == "camera 7"
    write(tmp_path / "categories.csv", [{"y": 2, "name": "zebra"}, {"y": 10, "name": "ant"}])
    assert load(tmp_path, "iwildcam").classes == ("zebra", "ant")  # the numbers' order, not the names'


def test_a_published_class_that_train_lacks_is_a_note(tmp_path, picture):
    rows = cams(tmp_path, picture)
    rows[-1]["y"] = 77
    write(tmp_path / "metadata.csv", rows)
    assert load(tmp_path, "iwildcam").notes == (
        "ood_test/new cameras holds 1 classes that train lacks; no model can learn them",
    )


def test_files_outside_of_the_folder_are_refused(tmp_path, picture):
    rows = cams(tmp_path, picture)
    rows[3]["filename"] = "../../secret.jpg"
    write(tmp_path / "metadata.csv", rows)
    with pytest.raises(RequestError, match=r"row 3 names the file 'train/../../secret.jpg', outside"):
        load(tmp_path, "iwildcam")
    rows[3]["filename"], rows[3]["split"] = "3.jpg", "trian"
    write(tmp_path / "metadata.csv", rows)
    with pytest.raises(RequestError, match="unknown split 'trian' in row 3; did you mean 'train'"):
        load(tmp_path, "iwildcam")


def test_civilcomments(tmp_path):
    names = ["male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white"]
    rows = []
    for i, split in enumerate(["train"] * 4 + ["val"] * 2 + ["test"] * 2):
        identities = dict.fromkeys(names, 0.0) | {"female": 0.5 if i % 2 else 0.49, "black": 1.0 * (i == 1)}
        rows.append(
            {"comment_text": f"c, {i}\n", "toxicity": (0.49, 0.5)[i % 2], "split": split} | identities
        )
    write(tmp_path / "all_data_with_identities.csv", rows, index=True)
    bundle = load(tmp_path, "civilcomments")
    assert bundle.classes == ("non-toxic", "toxic")
    assert sizes(bundle) == {"train": 4, "id_val": 2, "id_test": 2}
    assert bundle.train.labels.tolist() == [0, 1, 0, 1]
    assert bundle.members == tuple(names)
    expected = np.zeros((4, 8), dtype=bool)
    expected[[1, 3], 1] = expected[1, 6] = True  # row 1 is in two groups at once
    assert bundle.train.members.tolist() == expected.tolist()
    assert bundle.id_test.subset([1]).members[0].tolist() == expected[3].tolist()
    assert bundle.id_val.batch([1]).x == ("c, 5\n",)


def amazon(tmp_path, codes):
    rows = [
        {"reviewerID": f"U{i}", "reviewText": f'said "{i}"', "overall": f"{i % 2 + 4}.0"}
        for i in range(len(codes))
    ]
    write(tmp_path / "reviews.csv", rows)
    write(tmp_path / "splits" / "user.csv", [{"split": code} for code in codes])


def test_amazon(tmp_path):
    codes = [0, -1, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, -1]
    amazon(tmp_path, codes)
    bundle = load(tmp_path, "amazon")
    assert sizes(bundle) == {
        "train": 4,
        "id_val": 2,
        "id_test": 2,
        "ood_val/validation users": 2,
        "ood_test/new users": 2,
    }
    assert bundle.classes == ("1", "2", "3", "4", "5")
    assert bundle.train.ids.tolist() == [0, 2, 3, 4]
    assert bundle.train.labels.tolist() == [3, 3, 4, 3]
    assert bundle.ood_test["new users"].batch([0]).x == ('said "9"',)
    write(tmp_path / "splits" / "user.csv", [{"split": 0}] * 3)
    with pytest.raises(RequestError, match="a row for each of the 14 reviews, came 3"):
        load(tmp_path, "amazon")


def test_missing_table_and_unknown_benchmark(tmp_path):
    with pytest.raises(RequestError, match=r"metadata\.csv: expected this file of the published layout"):
        load(tmp_path, "camelyon17")
    with pytest.raises(RequestError, match="did you mean 'fmow'"):
        load(tmp_path, "fmwo")
