"""Tables larger than memory: rows are streamed once into an Arrow file in the cache, then mapped from it.

Mapped pages belong to the file, not to the process: the system drops and reads them again as it needs to.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tether.data.once import once
from tether.files import cache_dir

if TYPE_CHECKING:
    import datasets

RECIPE = 1  # raise it when the way rows are read changes
# A file written twice within one tick of the clock can keep its size and time, so what was cached that soon
# (in seconds) after the file was written is made again.
SETTLED = 2.0


def stamp_of(path: Path, *about: object) -> str:
    """Name, size and time of a file and how it is read, as 32 hex digits."""
    stat = path.stat()
    text = repr((RECIPE, str(path.resolve()), stat.st_size, stat.st_mtime_ns, about))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def settled(modified: float) -> bool:
    """Whether a file of this time would show a later change by another one."""
    return time.time() - modified > SETTLED


def mapped(source: Path, stamp: str, read: Callable[[], Iterable[Any]]) -> datasets.Dataset | None:
    """The rows of `source` as a data set mapped from the cache; None when it has none.

    Args:
        source: the file that is read.
        stamp: `stamp_of` that file.
        read: gives its rows as Arrow record batches, all of one schema, a few megabytes each.

    Raises:
        RequestError: what `read` raises; when the cache is full or not writable.
    """
    import datasets
    import pyarrow as pa

    def build(part: Path) -> None:
        batches = iter(read())
        first = next(batches, None)
        if first is None:
            part.touch()
            return
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
            writer.write_batch(first)
            for batch in batches:
                writer.write_batch(batch)

    def fresh(target: Path) -> bool:
        return target.exists() and target.stat().st_mtime - source.stat().st_mtime > SETTLED

    target = cache_dir() / "tables" / f"{stamp}.arrow"
    once(target, build, fresh)
    return datasets.Dataset.from_file(str(target)) if target.stat().st_size else None
