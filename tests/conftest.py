"""What every test shares: single-threaded maths, no network, a cache of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # for child processes
torch.set_num_threads(1)  # tiny tensors: a second thread only costs, most of all beside other test workers


@pytest.fixture(autouse=True)
def _own_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that is no integration test never reads or writes the user's cache."""
    if "integration" not in request.keywords:
        monkeypatch.setenv("TETHER_CACHE", str(tmp_path / "cache"))
