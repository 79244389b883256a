"""A plain torch module of the user's, through the whole line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tether
from tether.errors import RequestError
from tether.models import registered
from tether.models.wrap import reload
from tiny import TinyNet, fixed


def make() -> object:
    network = fixed(TinyNet())
    return tether.wrap(network, width=8, blocks=list(network.blocks))


@pytest.fixture
def mine() -> Iterator[str]:
    tether.register_model("mine", make)
    yield "mine"
    registered._registered.clear()


def pictures(folder: Path, n: int = 60) -> Path:
    rng = np.random.default_rng(0)
    lines = ["image,label,split"]
    for i in range(n):
        dark = i % 2
        pixels = rng.integers(0, 100, (16, 16, 3)) + (0 if dark else 150)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        split = ("train", "train", "id_val", "id_test")[i // 2 % 4]
        lines.append(f"{i}.png,{'dark' if dark else 'light'},{split}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return folder / "table.csv"


def config(folder: Path, **changes: object) -> dict[str, object]:
    data = {
        "source": "table",
        "path": str(pictures(folder)),
        "image": "image",
        "label": "label",
        "split": "split",
    }
    return {
        "model": "mine",
        "data": {**data, "size": 16},
        "train": {"steps": 4, "batch_size": 16},
        "evaluate": {"shifts": ["contrast"], "severities": [1]},
        "output": str(folder / "run"),
        **changes,
    }


def test_a_wrapped_module_trains_with_both_teachers_and_is_saved(mine: str, tmp_path: Path) -> None:
    run = tether.train(config(tmp_path), method="rdft")
    assert run.summary["steps"] == 4
    assert run.summary["trainable_parameters"] < run.summary["total_parameters"]
    model = reload(run.folder / "model", make())
    assert model.classes == ("dark", "light")


def test_an_unregistered_name_lists_the_registered_ones(mine: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="mine"):
        tether.train(config(tmp_path, model="mien"))


def test_a_name_that_reads_as_a_path_is_refused() -> None:
    with pytest.raises(RequestError, match="plain name"):
        tether.register_model("a/b", make)
