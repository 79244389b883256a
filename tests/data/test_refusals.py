"""Nothing is unpickled, no link is followed out, no picture is too large to decode: each with a reason."""

import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from tether.data import DataConfig, load_data
from tether.data.unpack import unpack
from tether.errors import RequestError


def refused(match, **keys):
    with pytest.raises(RequestError, match=match):
        load_data(DataConfig.model_validate(keys))


class Bomb:
    """Unpickling it would write the file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".pt", ".pth", ".joblib"])
def test_a_pickle_as_a_table(tmp_path, suffix):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refused("is a pickle by its name", source="table", path=str(path), text="t", label="l")
    assert not (tmp_path / "ran").exists()


def test_numpy_files(tmp_path):
    objects, numbers = tmp_path / "objects.npy", tmp_path / "numbers.npy"
    np.save(objects, np.array([Bomb(tmp_path / "ran")], dtype=object), allow_pickle=True)
    np.save(numbers, np.zeros(3))
    keys = {"source": "table", "text": "t", "label": "l"}
    refused("holds pickled objects and is never read", path=str(objects), **keys)
    refused("is an array, not a table.*from_objects", path=str(numbers), **keys)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_among_the_pictures(tmp_path, picture):
    for name in ("cat", "dog"):
        picture(tmp_path / name / "0.png")
    (tmp_path / "dog" / "features.pt").write_bytes(b"")
    refused(r"dog/features\.pt is a pickle", source="folder", path=str(tmp_path))


@pytest.mark.parametrize("what", ["class folder", "deeper folder", "file"])
def test_a_link_that_leaves_the_folder(tmp_path, picture, what):
    root, outside = tmp_path / "pets", tmp_path / "outside"
    picture(outside / "secret.png")
    for name in ("cat", "dog"):
        for i in range(10):
            picture(root / name / f"{i}.png")
    load_data(DataConfig(source="folder", path=str(root)))
    link = {
        "class folder": root / "cow",
        "deeper folder": root / "dog" / "more",
        "file": root / "dog" / "x.png",
    }
    link[what].symlink_to(outside / "secret.png" if what == "file" else outside)
    refused("is a link to .*outside", source="folder", path=str(root))


def test_a_link_within_the_folder_is_fine(tmp_path, picture):
    for name in ("cat", "dog"):
        for i in range(10):
            picture(tmp_path / name / f"{i}.png")
    (tmp_path / "dog" / "again.png").symlink_to(tmp_path / "dog" / "0.png")
    bundle = load_data(DataConfig(source="folder", path=str(tmp_path)))
    assert sum(len(examples) for examples in bundle.sets().values()) == 21


def test_an_absurd_picture_in_a_class_folder(tmp_path, picture):
    for name in ("cat", "dog"):
        for i in range(6):
            picture(tmp_path / name / f"{i}.png")
    Image.new("1", (12_000, 12_000)).save(tmp_path / "cat" / "bomb.png")  # 18 kilobytes, 144 megapixels
    refused(r"file 'cat/bomb\.png': .*beyond 89478485", source="folder", path=str(tmp_path))


def test_a_zip_that_slips_out(tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("../slipped.txt", "x")
    with pytest.raises(RequestError, match="points outside its folder"):
        unpack(archive, tmp_path / "in")
    assert not (tmp_path / "slipped.txt").exists()
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize(
    ("keys", "match"),
    [
        ({"source": "folder"}, "needs path"),
        ({"source": "folder", "path": "x", "lable": "y"}, "did you mean 'label'"),
        ({"source": "folder", "path": "x", "text": "y"}, "'folder' does not read 'text'"),
        ({"source": "hub", "label": "y", "text": "t"}, "needs name"),
        ({"source": "wilds", "path": "x"}, "needs dataset"),
        ({"source": "imagenet", "path": "x"}, "needs classes"),
        ({"source": "saved", "path": "x", "label": "y"}, "neither came"),
        ({"source": "table", "path": "x.csv", "label": "y", "text": "t", "dataset": "fmow"}, "does not read"),
    ],
)
def test_keys_a_source_does_not_read(keys, match):
    with pytest.raises(RequestError, match=match):
        DataConfig.model_validate(keys)


def test_objects_are_for_python():
    refused("give the objects to tether.data.from_objects", source="objects")


def test_a_resolved_config_names_every_key_and_loads_again():
    config = DataConfig(source="folder", path="x", seed=3)
    assert DataConfig.model_validate(config.model_dump()) == config
