"""Run a measurement in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tether.training.kept import EPOCHS

HERE = Path(__file__).parent


def least_steps(samples: int, batch: int) -> int:
    """Steps of the shortest run that computes once what it can; a shorter one is another kind of run."""
    return -(-EPOCHS * samples // batch)


def measured(script: str, *given: object) -> dict[str, float]:
    """What one of these scripts prints as its last line, a JSON object; its error ends the benchmark."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, given)], capture_output=True, text=True, check=False,
        env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(map(str, given))} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
