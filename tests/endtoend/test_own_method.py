"""The package of docs/tutorials/your-own-method.md is installed as it stands there, and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from project import make_project

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "your-own-method.md"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name, text in re.findall(r'```\w+ title="([^"]+)"\n(.*?)```', PAGE.read_text(), re.S):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    (source / "unsure" / "__init__.py").touch()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    command += ["--no-deps", "--no-build-isolation", "--target", str(target), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return target


def tether(installed: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "tether.cli", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_listed_and_its_signature_is_its_schema(installed: Path) -> None:
    listed = tether(installed, "list", "methods", "--json")
    (row,) = [r for r in json.loads(listed.stdout) if r["name"] == "unsure"]
    assert row["summary"] == "Cross-entropy plus weight times the entropy gained under shift."
    assert (row["trains"], row["teachers"]) == ("adapters and head", "initial")
    # Clean and shifted view through adapters, 2 F each, and the initial model on the shifted one: 5 F of 3.
    assert row["step"] == pytest.approx(5 / 3, rel=0.01)


def test_it_trains_like_any_other(installed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path, method="unsure")
    wrong = tether(installed, "train", str(project), "method.wieght=1")
    assert wrong.returncode == 2
    assert "did you mean 'weight'" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    done = tether(installed, "train", str(project), "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["method"] == "unsure"
    folder = next(p.parent for p in tmp_path.rglob("summary.json"))
    terms = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert "entropy_gap" in json.dumps(terms)
    assert summary["mu"] is not None
