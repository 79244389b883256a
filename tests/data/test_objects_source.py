import numpy as np
import pytest
import torch
from PIL import Image

from tether.data import from_objects
from tether.errors import RequestError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 5, 5, 3), dtype=np.uint8)
LABELS = [0, 1] * 20


def sizes(bundle):
    return {name: len(examples) for name, examples in bundle.sets().items()}


def test_texts_with_every_set():
    def pair(word):
        return [f"{word}{i}" for i in range(4)], ["no", "yes"] * 2

    bundle = from_objects(
        train=pair("a"),
        id_val=pair("b"),
        id_test=pair("c"),
        ood_val={"mail": pair("d")},
        ood_test={"web": pair("e"), "news": pair("f")},
        classes=["yes", "no"],
    )
    assert sizes(bundle) == {
        "train": 4,
        "id_val": 4,
        "id_test": 4,
        "ood_val/mail": 4,
        "ood_test/news": 4,
        "ood_test/web": 4,
    }
    assert bundle.classes == ("yes", "no")
    batch = bundle.ood_test["web"].batch([1])
    assert batch.x == ("e1",)
    assert batch.y.tolist() == [0]
    assert len({int(i) for examples in bundle.sets().values() for i in examples.ids}) == 24


@pytest.mark.parametrize("kind", ["uint8", "pil", "float array", "tensor"])
def test_pictures_come_back_as_they_were(kind):
    xs = {
        "uint8": list(PIXELS),
        "pil": [Image.fromarray(p) for p in PIXELS],
        "float array": [p.transpose(2, 0, 1) / np.float32(255) for p in PIXELS],
        "tensor": torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255,
    }[kind]
    bundle = from_objects((xs, torch.tensor(LABELS) if kind == "tensor" else LABELS))
    assert sizes(bundle) == {"train": 28, "id_val": 6, "id_test": 6}
    for examples in bundle.sets().values():
        batch = examples.batch(range(len(examples)))
        expected = torch.from_numpy(PIXELS[examples.ids]).permute(0, 3, 1, 2) / 255
        assert torch.equal(batch.x, expected)
        assert batch.y.tolist() == [LABELS[i] for i in examples.ids]


def test_integer_labels_are_positions_in_classes():
    """Also where the names themselves are numbers."""
    bundle = from_objects((["x"] * 40, LABELS), classes=["1", "0"])
    assert bundle.train.labels.tolist() == [LABELS[i] for i in bundle.train.ids]


@pytest.mark.parametrize(
    ("xs", "ys", "match"),
    [
        (["a", 7], [0, 1], "train, row 1: expected a string"),
        (["a", "b"], [0], "a label for each sample, came 2 and 1"),
        (["a", "b"], [0, 0.5], "train, row 1: expected a class name or an integer as label, came 0.5"),
        (["a", PIXELS[0]], [0, 1], "texts or pictures, came both"),
        ([np.full((3, 2, 2), -1.0)], [0], r"expected float pixels in \[0, 1\]"),
        ([np.array([object()])], [0], "came object"),
        ([], [], "expected samples"),
    ],
)
def test_faults_name_the_row(xs, ys, match):
    with pytest.raises(RequestError, match=match):
        from_objects((xs, ys))


def test_a_label_outside_the_classes():
    with pytest.raises(RequestError, match="row 1: expected a label from 0 to 1, came 2"):
        from_objects((["a", "b"], [0, 2]), classes=["no", "yes"])
