"""The command is really stopped or killed, run again, and must end at exactly the same model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from project import make_project

# One thread, as many as the test's own process would use: sums of floats depend on how they are split.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
STEPS = 40


def command(config: Path, output: Path) -> list[str]:
    changes = [f"train.steps={STEPS}", "train.checkpoint_every=4", "method.mu=0.5", f"output={output}"]
    return [sys.executable, "-m", "tether.cli", "train", str(config), *changes]


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], ids=["kill -9", "ctrl-c"]
)
def test_the_same_command_goes_on_and_ends_at_the_same_model(tmp_path: Path, how: int, code: int) -> None:
    config = make_project(tmp_path)
    environment = {**ENVIRONMENT, "TETHER_CACHE": str(tmp_path / "cache")}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(command(config, whole), env=environment, check=True, capture_output=True)

    child = subprocess.Popen(command(config, cut), env=environment, stderr=subprocess.PIPE, text=True)
    log = cut / "log.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        if log.is_file() and log.read_bytes().count(b"\n") >= 5:
            break
        time.sleep(0.002)
    child.send_signal(how)
    _, err = child.communicate(timeout=120)
    assert child.returncode == code, err
    assert "Traceback" not in err
    assert not (cut / "summary.json").exists()

    again = subprocess.run(command(config, cut), env=environment, check=True, capture_output=True, text=True)
    assert "Traceback" not in again.stderr
    for file in (
        "model/model.safetensors",
        "adapter/adapter_model.safetensors",
        "predictions.parquet",
        "log.jsonl",
    ):
        assert (cut / file).read_bytes() == (whole / file).read_bytes(), file
