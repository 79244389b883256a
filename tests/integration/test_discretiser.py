"""The VQ autoencoder on real pictures, for a few seconds, and the command that trains it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tether.cli import main
from tether.data import DataConfig, load_data
from tether.shifts.discrete import Schedule, kept

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _networks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is trained here goes to a cache of its own; the packaged data stays where it is."""
    monkeypatch.setattr("tether.shifts.discrete.keep.cache_dir", lambda: tmp_path / "cache")


def test_it_learns_digits_in_seconds() -> None:
    train = load_data(DataConfig(preset="digits", size=32)).train
    schedule = Schedule(steps=80, batch=16, side=32, width=32, codes=64)
    quality = kept("vq", train, schedule, torch.device("cpu"), "test").about["quality"]
    assert quality["psnr"] > quality["psnr_of_mean_picture"] + 2
    assert quality["perplexity"] > 2


def test_the_command_prints_quality_and_place_and_draws_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    arguments = ["shifts", "train-vq", "digits", "data.size=32", "--steps", "4", "--backend", "ae"]
    assert main([*arguments, "-o", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert "PSNR" in said
    assert str(tmp_path / "cache" / "autoencoders" / "ae-") in said
    assert "Next: tether train digits" in said
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (12 * 98, 2 * 98)
    assert main([*arguments, "--json"]) == 0  # found again
    found = json.loads(capsys.readouterr().out)
    assert Path(found["folder"], "weights.safetensors").is_file()
    assert main([*arguments, "-o", "sheet.jpg"]) == 2
    assert "expected a path ending in .png" in capsys.readouterr().err
    assert main(["shifts", "train-vq", "digits", "--steps", "0"]) == 2
    assert "at least 1 step" in capsys.readouterr().err
