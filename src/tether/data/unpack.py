"""Unpack an archive without trusting it: no member may leave the folder, be a link, or be absurdly large."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tether.errors import RequestError

# The largest packages in use unpack to 98 MB and to 324 members; far beyond that it is not what we pinned.
MAX_BYTES = 2 * 1024**3
MAX_MEMBERS = 20_000


@dataclass(frozen=True)
class Member:
    """One file of an archive, in the words that zip and tar share."""

    name: str
    size: int
    regular: bool
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .whl, .zip or .tar.gz into `folder`, which is made.

    All members are checked before the first is written, so a refused archive leaves nothing behind.

    Raises:
        RequestError: on an absolute path, a `..`, a link or device, more than `MAX_MEMBERS` files or more
            than `MAX_BYTES` in all, or when the file is no archive.
    """
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as z:
                _write(archive, list(_zip_members(z)), folder)
        else:
            with tarfile.open(archive) as t:
                _write(archive, list(_tar_members(t)), folder)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as e:
        raise RequestError(
            f"expected an archive, but {archive.name} does not read as one ({e}); fetch it again"
        ) from e


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        if not info.is_dir():
            # A zip made on unix keeps the file's mode in the high half; that is where a link hides.
            kind = stat.S_IFMT(info.external_attr >> 16)
            yield Member(
                info.filename,
                info.file_size,
                kind in (0, stat.S_IFREG),
                lambda info=info: archive.open(info),  # type: ignore[misc]
            )


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if not info.isdir():

            def opened(info: tarfile.TarInfo = info) -> IO[bytes]:
                stream = archive.extractfile(info)
                assert stream is not None, "only regular files are opened"
                return stream

            yield Member(info.name, info.size, info.isreg(), opened)


def _write(archive: Path, members: list[Member], folder: Path) -> None:
    # Declared sizes can be trusted as a bound: neither zipfile nor tarfile reads past them.
    total = sum(m.size for m in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise RequestError(
            f"{archive.name} holds {len(members)} files of {total} bytes in all; expected at most "
            f"{MAX_MEMBERS} files and {MAX_BYTES} bytes. It is not unpacked; check where it came from."
        )
    for member in members:
        _check(archive, member)
    folder.mkdir(parents=True)
    for member in members:
        target = folder / member.name
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)


def _check(archive: Path, member: Member) -> None:
    name = PurePosixPath(member.name)
    # Backslash and colon mean nothing to POSIX, but on Windows they are a separator and a drive.
    outside = name.is_absolute() or ".." in name.parts or not name.parts or set(member.name) & set("\\:\0")
    if outside or not member.regular:
        what = "points outside its folder" if outside else "is a link or a device"
        raise RequestError(
            f"{archive.name}: expected plain files below one folder, but the member {member.name!r} {what}. "
            "Nothing was unpacked; check where the archive came from."
        )
