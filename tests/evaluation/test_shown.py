"""Which samples a run keeps for people to look at."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from tether.batch import Batch
from tether.data.portray import portray
from tether.evaluation.shown import MISTAKES, rows_to_show


class Labelled:
    def __init__(self, labels):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)


def a_set(labels, kind="natural"):
    return SimpleNamespace(examples=Labelled(labels), kind=kind)


def probabilities(guesses, sure):
    p = np.repeat(((1 - np.asarray(sure)) / 2)[:, None], 3, axis=1)
    p[np.arange(len(guesses)), guesses] = sure
    return p


def test_the_first_three_and_every_mistake_when_they_are_few():
    p = probabilities([0, 1, 1, 0, 2, 0], [0.9, 0.9, 0.6, 0.9, 0.7, 0.95])
    assert rows_to_show(a_set([0] * 6), p) == [0, 1, 2, 4]


def test_of_many_mistakes_twelve_are_kept_sure_and_unsure():
    sure = np.linspace(0.99, 0.4, 100)
    rows = rows_to_show(a_set([0] * 100), probabilities([1] * 100, sure))
    assert rows[:3] == [0, 1, 2]
    assert len(rows) == len(set(rows)) == 3 + MISTAKES
    assert rows[3] == 3
    assert rows[-1] > 85


def test_corruptions_and_unlabelled_samples_keep_the_first_three():
    p = probabilities([1] * 9, [0.9] * 9)
    assert rows_to_show(a_set([0] * 9, "synthetic"), p) == [0, 1, 2]
    assert rows_to_show(a_set([-1] * 9), p) == [0, 1, 2]
    assert rows_to_show(a_set([0] * 9), None) == [0, 1, 2]
    assert rows_to_show(a_set([0] * 2), None) == [0, 1]


def test_large_pictures_are_made_smaller_and_small_ones_stay():
    for size, expected in ((300, (128, 64)), (64, (64, 32))):
        batch = Batch(torch.rand(1, 3, size // 2, size), torch.zeros(1), torch.zeros(1))
        shown = portray(batch, 0, side=128)
        with Image.open(io.BytesIO(base64.b64decode(shown["image"]))) as picture:
            assert picture.size == expected


def test_long_texts_end():
    batch = Batch(("x" * 9000,), torch.zeros(1), torch.zeros(1))
    assert portray(batch, 0, characters=2000)["text"] == "x" * 2000
