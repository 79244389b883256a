"""A finished run is found again only while its words still mean what they meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tether.config import load_config
from tether.errors import RequestError
from tether.folder import begin, is_done


def test_a_run_made_under_other_defaults_is_not_taken_for_this_one(tmp_path: Path) -> None:
    config = load_config("digits", ["method=lora"])
    folder = tmp_path / "lora"
    begin(folder, config)
    (folder / "summary.json").write_text("{}")
    assert is_done(folder, config)
    path = folder / "config.yaml"  # it holds every default of the day
    path.write_text(path.read_text().replace("rank: 8", "rank: 4"))
    with pytest.raises(RequestError, match=r"another config \(method.rank: 4 there, 8 asked for\)"):
        is_done(folder, config)


def test_a_config_of_another_version_is_named(tmp_path: Path) -> None:
    config = load_config("digits", ["method=lora"])
    begin(tmp_path / "lora", config)
    path = tmp_path / "lora" / "config.yaml"
    path.write_text(path.read_text().replace("rank:", "ranks:"))
    with pytest.raises(RequestError, match=r"lora.config\.yaml: .*ranks.*another version"):
        is_done(tmp_path / "lora", config)


def test_many_differences_are_counted(tmp_path: Path) -> None:
    begin(tmp_path / "lora", load_config("digits", ["method=lora"]))
    asked = [
        "method=lora",
        "train.epochs=9",
        "train.batch_size=9",
        "method.rank=9",
        "method.lora_alpha=9",
        "seed=9",
    ]
    with pytest.raises(RequestError, match=r"epochs: 2 there, 9 asked for.* and 1 more\)"):
        is_done(tmp_path / "lora", load_config("digits", asked))
