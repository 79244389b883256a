"""A finished run is found again only while its words still mean what they meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tether.config import load_config
from tether.errors import RequestError
from tether.folder import OPTIONS, begin, is_done


def test_a_run_made_under_other_defaults_is_not_taken_for_this_one(tmp_path: Path) -> None:
    config = load_config("digits", ["method=lora"])
    folder = tmp_path / "lora"
    begin(folder, config)
    (folder / "summary.json").write_text("{}")
    assert is_done(folder, config)
    then = json.loads((folder / OPTIONS).read_text())
    assert then["rank"] == 8
    (folder / OPTIONS).write_text(json.dumps({**then, "rank": 4}))
    with pytest.raises(RequestError, match=r"lora with other defaults: rank \(4 then, 8 now\)"):
        is_done(folder, config)


def test_a_run_from_before_defaults_were_kept_is_found(tmp_path: Path) -> None:
    config = load_config("digits", ["method=lora"])
    begin(tmp_path / "lora", config)
    (tmp_path / "lora" / OPTIONS).unlink()
    assert not is_done(tmp_path / "lora", config)
