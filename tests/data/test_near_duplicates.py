import numpy as np
import pytest

import tether.data.near as module
from tether.data import near_duplicates
from tether.errors import RequestError


@pytest.mark.parametrize("block", [3, 2048])
def test_by_a_plain_loop(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(20, 3)), rng.normal(size=(17, 3))
    expected = {}
    for i, a in enumerate(test):
        cosines = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for b in train]
        if max(cosines) >= 0.9:
            expected[i] = (int(np.argmax(cosines)), max(cosines))
    assert 0 < len(expected) < 17
    found = near_duplicates(train, test, 0.9)
    assert found.test.tolist() == list(expected)
    assert found.train.tolist() == [j for j, _ in expected.values()]
    assert found.cosine.tolist() == pytest.approx([c for _, c in expected.values()], abs=1e-6)


def test_length_does_not_matter_and_zeros_are_near_nothing():
    train = np.array([[1.0, 2.0], [0.0, 0.0]])
    found = near_duplicates(train, np.array([[10.0, 20.0], [0.0, 0.0]]), 1.0)
    assert (found.test.tolist(), found.train.tolist()) == ([0], [0])


def test_no_rows():
    assert len(near_duplicates(np.ones((3, 2)), np.zeros((0, 2)))) == 0
    assert len(near_duplicates(np.zeros((0, 2)), np.ones((3, 2)))) == 0


def test_wrong_embeddings():
    with pytest.raises(RequestError, match="one width, came 2 and 3"):
        near_duplicates(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(RequestError, match="finite"):
        near_duplicates(np.array([[np.nan, 1]]), np.ones((1, 2)))
