"""Files appear whole or not at all; where tether keeps what it fetched or made."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tether.errors import RequestError


def cache_dir() -> Path:
    """The cache folder: $TETHER_CACHE, else $XDG_CACHE_HOME/tether, else ~/.cache/tether."""
    if chosen := os.environ.get("TETHER_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tether"


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn 'no space left' and 'read-only' into a message that says what was being written."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RequestError(
                f"the disk is full: could not write {target}. Free some space and run the same command "
                "again; finished work is kept and found."
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise RequestError(f"cannot write {target}: {e.strerror}. Choose another output folder.") from e
        raise


@contextlib.contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it over `target` when the block ends well.

    The temporary may become a file or a folder. On any error it is removed and `target` is untouched.

    Raises:
        RequestError: when the disk is full or not writable.

    Example:
        >>> with atomic(Path("/tmp/tether-doc.txt")) as p:
        ...     _ = p.write_text("whole")
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent)) / target.name
        try:
            yield part
            if part.is_dir() and target.is_dir():  # a folder cannot be renamed over a full one
                old = part.parent / "old"
                target.rename(old)
            else:
                _sync(part)
            part.replace(target)
        finally:
            shutil.rmtree(part.parent, ignore_errors=True)


def _sync(path: Path) -> None:
    """A rename is only as good as the bytes behind it: flush them before it, in case the power fails."""
    if path.is_file():
        with path.open("rb") as f:
            os.fsync(f.fileno())


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(target) as part:
        part.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write a JSON file atomically, keys in the given order."""
    write_text(target, json.dumps(value, indent=2, allow_nan=True) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RequestError: when it is missing or cut off.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise RequestError(f"expected the file {path}, but there is none") from e
    except ValueError as e:
        raise RequestError(f"{path} is not whole JSON ({e}); remove it and run the command again") from e


def as_name(text: str, keep: str = ".-") -> str:
    """Text as a part of a file's name: letters, digits and `keep`; a dash for all else.

    Example:
        >>> as_name("method.alpha-[1, 2]")
        'method.alpha--1--2-'
    """
    return "".join(c if c.isalnum() or c in keep else "-" for c in text)
