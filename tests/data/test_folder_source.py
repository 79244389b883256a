import pytest

from tether.data import DataConfig, load_data
from tether.errors import RequestError


def load(root, **keys):
    return load_data(DataConfig.model_validate({"source": "folder", "path": str(root)} | keys))


def fill(picture, folder, classes=("cat", "dog"), n=2):
    for name in classes:
        for i in range(n):
            picture(folder / name / f"{i}.png")


def sizes(bundle):
    return {name: len(examples) for name, examples in bundle.sets().items()}


def files(bundle, examples):
    return [row["image"] for row in examples.rows.to_list()]


def test_class_folders_are_divided_by_fraction(tmp_path, picture):
    fill(picture, tmp_path / "pets", n=10)
    bundle = load(tmp_path / "pets")
    assert sizes(bundle) == {"train": 14, "id_val": 3, "id_test": 3}
    assert bundle.classes == ("cat", "dog")
    for examples in bundle.sets().values():
        folders = [name.partition("/")[0] for name in files(bundle, examples)]
        assert folders == [bundle.classes[y] for y in examples.labels]
    assert bundle.train.batch([0]).x.shape == (1, 3, 4, 6)


def test_split_and_domain_folders(tmp_path, picture):
    root = tmp_path / "pets"
    for split in ("train", "val", "test", "ood_val/photo", "ood_test/sketch", "ood_test/toy"):
        fill(picture, root / split)
    bundle = load(root)
    assert sizes(bundle) == {
        "train": 4,
        "id_val": 4,
        "id_test": 4,
        "ood_val/photo": 4,
        "ood_test/sketch": 4,
        "ood_test/toy": 4,
    }
    assert all(name.startswith("ood_test/toy/") for name in files(bundle, bundle.ood_test["toy"]))
    assert bundle.groups[bundle.ood_test["toy"].groups[0]] == "toy"


def test_a_split_that_lacks_a_class_keeps_the_label_order(tmp_path, picture):
    """Numbering the folders of each split on their own would call the dogs of val cats."""
    fill(picture, tmp_path / "train", n=4)
    fill(picture, tmp_path / "val", classes=("dog",), n=4)
    fill(picture, tmp_path / "test")
    assert set(load(tmp_path).id_val.labels.tolist()) == {1}


def test_missing_sets_are_drawn_and_published_ones_stay_whole(tmp_path, picture):
    fill(picture, tmp_path / "a" / "train", n=20)
    assert sizes(load(tmp_path / "a")) == {"train": 28, "id_val": 6, "id_test": 6}
    fill(picture, tmp_path / "b" / "train", n=17)
    fill(picture, tmp_path / "b" / "test", n=3)
    assert sizes(load(tmp_path / "b")) == {"train": 28, "id_val": 6, "id_test": 6}
    fill(picture, tmp_path / "c" / "train", n=5)
    fill(picture, tmp_path / "c" / "val", n=4)
    assert sizes(load(tmp_path / "c")) == {"train": 10, "id_val": 4, "id_test": 4}


def test_domain_folders(tmp_path, picture):
    for domain in ("photo", "art", "sketch"):
        fill(picture, tmp_path / domain, n=10)
    bundle = load(tmp_path, ood_domains={"val": ["art"], "test": ["sketch"]})
    assert sizes(bundle)["ood_val/art"] == sizes(bundle)["ood_test/sketch"] == 20
    assert sum(sizes(bundle)[name] for name in ("train", "id_val", "id_test")) == 20


def test_a_class_named_train_is_a_class(tmp_path, picture):
    fill(picture, tmp_path, classes=("car", "train"), n=10)
    assert load(tmp_path).classes == ("car", "train")


def test_faults_name_the_folder(tmp_path, picture):
    with pytest.raises(RequestError, match="no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(RequestError, match="no picture in class folders"):
        load(tmp_path)
    fill(picture, tmp_path / "train")
    (tmp_path / "tset").mkdir()
    with pytest.raises(RequestError, match="'tset'; did you mean 'test'"):
        load(tmp_path)
    (tmp_path / "tset").rmdir()
    (tmp_path / "train" / "cow").mkdir()
    with pytest.raises(RequestError, match="class 'cow', found none"):
        load(tmp_path)
    (tmp_path / "train" / "cow").rmdir()
    fill(picture, tmp_path / "ood_test")
    with pytest.raises(RequestError, match=r"ood_test/<domain>/<class>.*came pictures"):
        load(tmp_path)


def test_one_domain_in_both_roles_is_refused(tmp_path, picture):
    for split in ("train", "ood_val/toy", "ood_test/toy"):
        fill(picture, tmp_path / split, n=6)
    with pytest.raises(RequestError, match=r"'toy'.*steers choices cannot"):
        load(tmp_path)


def test_a_corrupt_picture_is_named(tmp_path, picture):
    fill(picture, tmp_path, n=6)
    (tmp_path / "dog" / "3.png").write_text("no picture")
    with pytest.raises(RequestError, match=r"file 'dog/3\.png': not a whole picture"):
        load(tmp_path)
    bundle = load(tmp_path, on_error="skip")
    assert bundle.skipped == 1
    assert "dog/3.png" in bundle.faults[0]
