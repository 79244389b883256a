"""Make something in the cache once, however many processes ask for it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from tether.files import atomic, disk_errors


def once(target: Path, build: Callable[[Path], None], fresh: Callable[[Path], bool] = Path.exists) -> Path:
    """Give `target`, building it first where it is missing.

    The lock makes the second of two processes wait and then use what the first one built. It is taken only
    when something has to be built, so a complete cache may be read-only.

    Args:
        target: a file or a folder in the cache.
        build: writes a temporary path that is renamed to `target` when it returns.
        fresh: says whether what lies at `target` can be used as it is.

    Raises:
        RequestError: when the cache is full or not writable.

    Example:
        >>> once(Path("/tmp/tether-doc-once.txt"), lambda part: part.write_text("whole") and None)
        PosixPath('/tmp/tether-doc-once.txt')
    """
    if fresh(target):
        return target
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            if not fresh(target):
                with atomic(target) as part:
                    build(part)
    return target
