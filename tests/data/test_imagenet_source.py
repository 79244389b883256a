"""ImageNet and its variants in folders of the published layout, with five classes instead of a thousand."""

import json

import numpy as np
import pytest

from tether.data import DataConfig, load_data, project
from tether.errors import RequestError

# The model's order is not the sorted one, so that a position read off sorted folders would show.
WNIDS = ["n00000005", "n00000001", "n00000004", "n00000002", "n00000003"]


@pytest.fixture
def imagenet(tmp_path, picture):
    root = tmp_path / "imagenet"
    for wnid in WNIDS:
        for i in range(4):
            picture(root / "train" / wnid / f"{i}.JPEG")
        for i in range(2):
            picture(root / "val" / wnid / f"{i}.JPEG")
    (tmp_path / "classes.txt").write_text("\n".join(f"{w} thing {i}, alias {i}" for i, w in enumerate(WNIDS)))
    return root


def load(root, **variants):
    keys = {
        "source": "imagenet",
        "path": str(root),
        "classes": str(root.parent / "classes.txt"),
        "variants": {name: str(root.parent / folder) for name, folder in variants.items()},
        "size": 4,
    }
    return load_data(DataConfig.model_validate(keys))


def folders(examples):
    return [row["image"]["path"].split("/")[-2] for row in examples.rows.to_list()]


def test_train_and_val_in_the_models_order(imagenet):
    bundle = load(imagenet)
    assert bundle.classes == tuple(WNIDS)
    assert len(bundle.id_test) == 10
    assert len(bundle.train) + len(bundle.id_val) == 20
    for examples in (bundle.train, bundle.id_test):
        assert folders(examples) == [WNIDS[y] for y in examples.labels]
    assert not bundle.answers


def test_val_alone_is_divided(imagenet, picture):
    for wnid in WNIDS:
        for i in range(10):
            picture(imagenet.parent / "only" / "val" / wnid / f"{i}.JPEG")
    bundle = load(imagenet.parent / "only")
    assert sum(len(examples) for examples in bundle.sets().values()) == 50


@pytest.mark.parametrize("name", ["r", "a"])
def test_a_subset_is_scored_among_its_own_classes(imagenet, picture, name):
    subset = ["n00000002", "n00000005"]  # positions 3 and 0
    for wnid in subset:
        picture(imagenet.parent / "variant" / wnid / "x.jpg")
    bundle = load(imagenet, **{name: "variant"})
    key = f"ood_test/imagenet-{name}"
    examples = bundle.ood_test[f"imagenet-{name}"]
    assert [WNIDS[y] for y in examples.labels] == folders(examples) == subset
    assert bundle.class_index(key).tolist() == [0, 3]
    assert bundle.class_index("id_test").tolist() == [0, 1, 2, 3, 4]
    assert bundle.answers[key].tolist() == [0, -1, -1, 3, -1]
    assert bundle.notes == (f"imagenet-{name} has 2 classes here, 200 as published",)
    # Class 1 wins among all five; among the two that are asked for, class 3 does.
    p = project(np.array([[0.1, 0.6, 0.0, 0.3, 0.0]]), bundle.answers[key])
    assert p.tolist() == [pytest.approx([0.25, 0, 0, 0.75, 0])]


def test_v2_folders_are_numbers_in_the_models_order(imagenet, picture, tmp_path):
    """Read as sorted text, folder 10 would become class 2."""
    many = [f"n{i:08d}" for i in range(11)]
    (tmp_path / "classes.txt").write_text("\n".join(many))
    for i in range(11):
        picture(tmp_path / "v2" / str(i) / "x.jpeg")
        for k in range(3):
            picture(tmp_path / "eleven" / "train" / many[i] / f"{k}.jpeg")
            picture(tmp_path / "eleven" / "val" / many[i] / f"{k}.jpeg")
    examples = load(tmp_path / "eleven", v2="v2").ood_test["imagenet-v2"]
    assert [str(y) for y in examples.labels] == folders(examples)


def test_sketch_folders_by_class_name(imagenet, picture):
    picture(imagenet.parent / "sketch" / "Thing_3" / "x.jpg")
    picture(imagenet.parent / "sketch" / "alias 1" / "x.jpg")
    with pytest.raises(RequestError, match="'alias 1' is no class"):
        load(imagenet, sketch="sketch")
    (imagenet.parent / "sketch" / "alias 1").rename(imagenet.parent / "sketch" / "thing 1")
    assert load(imagenet, sketch="sketch").ood_test["imagenet-sketch"].labels.tolist() == [3, 1]


def test_a_name_of_two_classes_is_refused(imagenet, picture, tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(f"{w} crane" for w in WNIDS))
    picture(tmp_path / "sketch" / "crane" / "x.jpg")
    with pytest.raises(RequestError, match="several classes are named 'crane'"):
        load(imagenet, sketch="sketch")


def test_corruptions_are_stress_sets_with_a_severity(imagenet, picture):
    for place in ("weather/frost", "noise/gaussian_noise"):
        for severity in (1, 3):
            for wnid in WNIDS:
                picture(imagenet.parent / "c" / place / str(severity) / wnid / "x.JPEG")
    bundle = load(imagenet, c="c")
    assert sorted(bundle.stress) == [
        ("frost", 1),
        ("frost", 3),
        ("gaussian_noise", 1),
        ("gaussian_noise", 3),
    ]
    examples = bundle.stress["frost", 3]
    assert folders(examples) == [WNIDS[y] for y in examples.labels]
    assert all("weather/frost/3/" in row["image"]["path"] for row in examples.rows.to_list())
    assert "stress/frost/3" in bundle.sets()
    assert bundle.at(2).stress["frost", 3].batch([0]).x.shape == (1, 3, 2, 2)
    assert not bundle.ood_test


def test_a_folder_that_is_no_class_is_named(imagenet, picture):
    picture(imagenet.parent / "r" / "n99999999" / "x.jpg")
    with pytest.raises(RequestError, match=r"'n99999999' is no class of data\.classes"):
        load(imagenet, r="r")
    with pytest.raises(RequestError, match="no variant 'rr'"):
        load(imagenet, rr="r")
    with pytest.raises(RequestError, match="expected <corruption>/<severity"):
        load(imagenet, c="r")


@pytest.fixture
def objectnet(imagenet, picture):
    """Chair stands for the classes at positions 1 and 2, Lamp for 4, Toy is not in ImageNet."""
    root = imagenet.parent / "objectnet"
    for name in ("chair", "lamp", "toy"):
        picture(root / "images" / name / "x.png", (10, 10))
    mappings = root / "mappings"
    mappings.mkdir()
    said = {"chair": "Chair", "lamp": "Lamp", "toy": "Toy"}
    (mappings / "folder_to_objectnet_label.json").write_text(json.dumps(said))
    (mappings / "objectnet_to_imagenet_1k.json").write_text(
        json.dumps({"Chair": "first; fourth", "Lamp": "third"})
    )
    # Lines in an order of their own; torchvision's number k is the k-th sorted wnid.
    lines = ["third", "first", "fifth", "fourth", "second"]
    (mappings / "imagenet_to_label_2012_v2").write_text("\n".join(lines) + "\n")
    number = {0: 1, 1: 4, 2: 0, 3: 3, 4: 2}
    (mappings / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps(number))
    return root


def test_objectnet_maps_objects_and_cuts_its_frame(imagenet, objectnet):
    bundle = load(imagenet, objectnet="objectnet")
    examples = bundle.ood_test["objectnet"]
    # "first" is sorted wnid 0 = n00000001 = position 1; "fourth" n00000004 = 2; "third" n00000003 = 4.
    assert bundle.answers["ood_test/objectnet"].tolist() == [-1, 1, 1, -1, 4]
    assert folders(examples) == ["chair", "lamp"]
    assert examples.labels.tolist() == [1, 4]
    p = project(np.array([[0.5, 0.1, 0.3, 0.0, 0.2]]), bundle.answers["ood_test/objectnet"])
    assert p.tolist() == [pytest.approx([0, 0.6, 0, 0, 0.4])]

    from PIL import Image

    whole = Image.open(objectnet / "images" / "chair" / "x.png").convert("RGB")
    inside = np.asarray(whole)[2:8, 2:8]
    resized = np.asarray(Image.fromarray(inside).resize((4, 4), Image.Resampling.BILINEAR))
    x = examples.batch([0]).x[0].permute(1, 2, 0).numpy()
    assert np.abs(x * 255 - resized).max() < 1e-3


def test_objectnet_without_its_mappings_is_refused(imagenet, objectnet):
    (objectnet / "mappings" / "pytorch_to_imagenet_2012_id.json").write_text('{"0": 77}')
    with pytest.raises(RequestError, match="do not fit each other"):
        load(imagenet, objectnet="objectnet")
    (objectnet / "mappings" / "pytorch_to_imagenet_2012_id.json").unlink()
    with pytest.raises(RequestError, match="expected this file of the published ObjectNet"):
        load(imagenet, objectnet="objectnet")
