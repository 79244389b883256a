"""What the cache folder holds, and how it stays below a bound."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tether.errors import RequestError
from tether.files import cache_dir
from tether.progress import say

SETTING = "TETHER_CACHE_GB"
GB = 1e9
RECENT = 3600.0  # seconds: what was made or used within them may be in use
MARK = ".used"  # touched by who reads an entry


@dataclass(frozen=True)
class Entry:
    """One thing that can be made again: a teacher, a data set, weights.

    Attributes:
        room: the folder of the cache that it lies in.
        path: a file or a folder.
        size: bytes.
        used: when it was last made or read, seconds since the epoch.
    """

    room: str
    path: Path
    size: int
    used: float


def entries() -> list[Entry]:
    """Everything in the cache, the longest unused first."""
    found = []
    rooms = sorted(p for p in cache_dir().glob("*") if p.is_dir())
    for room in rooms:
        for path in sorted(room.iterdir()):
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            stats = [p.stat() for p in files]
            used = max((s.st_mtime for s in stats), default=path.stat().st_mtime)
            found.append(Entry(room.name, path, sum(s.st_size for s in stats), used))
    return sorted(found, key=lambda e: e.used)


def trim(bound: float) -> list[Entry]:
    """Remove the longest unused entries until the cache holds `bound` bytes; what is in use stays.

    Args:
        bound: bytes.

    Returns:
        What was removed.
    """
    held = entries()
    total, gone, lately = sum(e.size for e in held), [], time.time() - RECENT
    for entry in held:
        if total <= bound or entry.used > lately:
            break
        _remove(entry.path)
        total -= entry.size
        gone.append(entry)
    return gone


def mark_used(folder: Path) -> None:
    """Note that a folder of the cache was read."""
    (folder / MARK).touch()


def bound_of(setting: str | None) -> float | None:
    """The bound in bytes that $TETHER_CACHE_GB gives, None without one.

    Raises:
        RequestError: not a number above 0.
    """
    if not setting:
        return None
    try:
        value = float(setting)
    except ValueError:
        value = -1.0
    if not value > 0:
        raise RequestError(f"{SETTING}: expected gigabytes above 0, such as 5, got {setting!r}")
    return value * GB


def keep_bound() -> Sequence[Entry]:
    """Trim to $TETHER_CACHE_GB, where it is set; called when something large was added."""
    bound = bound_of(os.environ.get(SETTING))
    if bound is None:
        return ()
    gone = trim(bound)
    if gone:
        say(f"note: {SETTING}: removed {len(gone)} entries of the cache, the longest unused first")
    return gone


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
