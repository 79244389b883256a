import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Table = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Unit tests get a cache of their own; integration tests the user's, so that nothing is fetched twice."""
    if request.node.get_closest_marker("integration"):
        from tether.files import cache_dir

        return cache_dir()
    folder = tmp_path / "cache"
    monkeypatch.setenv("TETHER_CACHE", os.fspath(folder))
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes a CSV from columns and gives its path."""

    def write(name: str = "rows.csv", **columns: list[object]) -> Path:
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as f:
            writer = csv.writer(f)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
        return path

    return write


@pytest.fixture
def png() -> Callable[[int], bytes]:
    """A noisy 6x4 picture, another one for each seed."""

    def make(seed: int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> bytes:
        depth = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], *depth), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, format="PNG")
        return file.getvalue()

    return make


@pytest.fixture
def picture(png: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes a picture of its own, with the folders above it, and gives its path."""
    made = iter(range(10_000))

    def write(path: Path, size: tuple[int, int] = (6, 4)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(next(made), size))
        return path

    return write
