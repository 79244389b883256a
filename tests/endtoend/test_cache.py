"""The cache shows what it holds, and stays below its bound by what was unused longest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tether.cached import bound_of, entries, keep_bound, mark_used, trim
from tether.cli import main
from tether.errors import RequestError

DAY = 86400.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three entries of 1000 bytes, used three, two and one day ago; the first of them read since."""
    monkeypatch.setenv("TETHER_CACHE", str(tmp_path))
    now = (tmp_path / "teachers").stat().st_mtime if (tmp_path / "teachers").exists() else 1e9
    for i, room in enumerate(("teachers", "data", "teachers")):
        path = tmp_path / room / f"entry{i}"
        path.mkdir(parents=True)
        (path / "model.bin").write_bytes(bytes(1000))
        os.utime(path / "model.bin", (now - (3 - i) * DAY,) * 2)
    return tmp_path


def test_the_longest_unused_go_first(cache: Path) -> None:
    assert [e.path.name for e in entries()] == ["entry0", "entry1", "entry2"]
    assert [e.path.name for e in trim(2500)] == ["entry0"]
    assert [e.path.name for e in entries()] == ["entry1", "entry2"]
    assert trim(2000) == []


def test_what_was_read_lately_stays(cache: Path) -> None:
    mark_used(cache / "teachers" / "entry0")
    assert [e.path.name for e in trim(0)] == ["entry1", "entry2"]
    assert (cache / "teachers" / "entry0" / "model.bin").is_file()


def test_a_run_keeps_the_bound_that_is_set(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_bound() == ()
    monkeypatch.setenv("TETHER_CACHE_GB", "0.000001")
    assert [e.path.name for e in keep_bound()] == ["entry0", "entry1"]


@pytest.mark.parametrize("setting", ["much", "-1", "0", "nan"])
def test_a_bound_that_is_none_is_refused(setting: str) -> None:
    with pytest.raises(RequestError, match="TETHER_CACHE_GB: expected gigabytes above 0"):
        bound_of(setting)


def test_the_command(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rooms"] == {"data": {"bytes": 1000, "entries": 1}, "teachers": {"bytes": 2000, "entries": 2}}
    assert main(["cache", "--max-gb", "0.000001"]) == 0
    assert "Removed 2 entries" in capsys.readouterr().out
    assert main(["cache", "--max-gb", "-1"]) == 2
