"""The next batch is made while this one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")  # a batch, or one with what is said of it


def ahead(source: Iterator[Made]) -> Iterator[Made]:
    """The same batches; the next one is read and shifted in a thread while the caller uses this one.

    Draws belong to samples, so nothing depends on which thread makes a batch, or when. What goes wrong in the
    thread is raised where that batch is asked for.

    Example:
        >>> list(ahead(iter([])))
        []
    """
    with ThreadPoolExecutor(1, "tether-batches") as thread:
        coming = thread.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, source, None)
            yield batch
