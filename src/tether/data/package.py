"""What names a published package so exactly that its bytes cannot differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tether.files import cache_dir


@dataclass(frozen=True)
class Package:
    """A package at one version.

    Attributes:
        kind: a "wheel" or an "sdist" comes through pip, an "npm" tarball through npm.
        sha256: of the archive.
        size_bytes: of the archive; the progress bar's length.

    Example:
        >>> Package("@iconify-json/noto", "1.2.9", "npm", "3e91" + 60 * "0", 3_102_958, "Apache-2.0").slug
        'iconify-json-noto-1.2.9'
    """

    name: str
    version: str
    kind: Literal["wheel", "sdist", "npm"]
    sha256: str
    size_bytes: int
    licence: str

    @property
    def slug(self) -> str:
        """Its folder's name; npm writes the scope of a name as @scope/, which is no one folder."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"


def folder_of(package: Package) -> Path:
    """Where the package's files lie in the cache once fetched."""
    return cache_dir() / "packages" / package.slug


def elsewhere(package: Package) -> str:
    """The end of every message about a fetch that failed: the road without a network."""
    return (
        f"; or run this command on a machine with a network and copy its {folder_of(package)} to the same "
        "place here (TETHER_CACHE names the cache folder)."
    )
