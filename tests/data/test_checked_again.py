"""What was verified once is not decoded again, and what changed is."""

import os
import time

import pytest

from tether.data import DataConfig, load_data
from tether.data.reading import Pictures, Texts
from tether.data.table import read_table
from tether.data.verify import verify

OLD = time.time() - 3600


def age(path, by=0):
    os.utime(path, (OLD + by, OLD + by))


@pytest.fixture
def pets(tmp_path, table, picture):
    for i in range(6):
        age(picture(tmp_path / f"{i}.png"))
    path = table(image=[f"{i}.png" for i in range(6)], label=["a", "b"] * 3)
    age(path)
    return path


def look(path, on_error="raise"):
    rows = read_table(DataConfig(source="table", path=str(path), image="image", label="label"))
    return verify(rows, Pictures("image", path.parent), on_error)


def test_pictures_are_decoded_once(pets):
    first, again = look(pets), look(pets)
    assert (first.read, again.read) == (6, 0)
    assert first.digests.tobytes() == again.digests.tobytes()


def test_a_changed_picture_is_read_again(pets, png):
    before = look(pets)
    (pets.parent / "2.png").write_bytes(png(99))
    age(pets.parent / "2.png", by=5)
    after = look(pets)
    assert after.read == 1
    assert [a != b for a, b in zip(before.digests, after.digests, strict=True)] == [i == 2 for i in range(6)]


def test_a_picture_just_written_is_never_trusted(pets, png):
    """Within a tick of the clock a second version can have the first one's size and time."""
    look(pets)
    os.utime(pets.parent / "4.png")
    assert [look(pets).read for _ in range(2)] == [1, 1]


def test_a_picture_that_went_bad_or_missing_is_named(pets):
    look(pets)
    (pets.parent / "1.png").unlink()
    found = look(pets, "skip")
    assert found.readable.tolist() == [i != 1 for i in range(6)]
    assert "row 1, column 'image', file '1.png': cannot open" in found.faults[0]
    assert look(pets, "skip").read == 1  # it is looked for again each time


def test_a_table_keeps_its_digests_until_it_changes(tmp_path, table):
    def read(word):
        path = table(text=[f"{word}{i}" for i in range(4)], label=["a", "b"] * 2)
        age(path, by=len(word))
        rows = read_table(DataConfig(source="table", path=str(path), text="text", label="label"))
        return verify(rows, Texts("text"), "raise")

    assert (read("t").read, read("t").read, read("tt").read) == (4, 0, 4)


def test_a_broken_cache_costs_time_alone(pets, cache):
    first = look(pets)
    kept = next((cache / "checked").glob("*.npy"))
    kept.write_bytes(kept.read_bytes()[:50])
    again = look(pets)
    assert again.read == 6
    assert first.digests.tobytes() == again.digests.tobytes()


def test_tables_are_mapped_from_the_cache(pets, cache):
    config = DataConfig(source="table", path=str(pets), image="image", label="label")
    files = [f["filename"] for f in read_table(config).dataset.cache_files]
    assert [os.path.dirname(f) for f in files] == [str(cache / "tables")]
    made = os.stat(files[0]).st_mtime_ns
    read_table(config)
    assert os.stat(files[0]).st_mtime_ns == made  # found, not made again
    load_data(config.model_copy(update={"size": 4}))
