"""Store: pictures made once, a chunk of samples a file, memory-mapped, shared by processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from tether.files import atomic, disk_errors, read_json, write_json
from tether.progress import bar

CHUNK = 128  # samples a file: what a kill costs at most, 19 MB at 224 px

# rows -> their pictures (n, 3, H, W) in [0, 1], and what to note about them, numbers that add up
Make = Callable[[Sequence[int]], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Store:
    """Pictures of samples 0 to len(ids) - 1 in files under `folder`.

    A chunk is whole or absent (atomic rename), so work that was killed goes on with the first absent one.
    Every chunk has a lock: several processes that fill the same store share its chunks.

    Attributes:
        folder: named after everything the pictures depend on.
        ids: of the samples, (N,) int64.
        chunk: samples a file.
    """

    folder: Path
    ids: NDArray[np.int64]
    chunk: int = CHUNK
    _open: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def chunks(self) -> range:
        """Numbers of the chunks."""
        return range(-(-len(self) // self.chunk))

    def rows_of(self, chunk: int) -> range:
        """The samples of a chunk."""
        return range(chunk * self.chunk, min((chunk + 1) * self.chunk, len(self)))

    def has(self, chunk: int) -> bool:
        """Whether a chunk is whole."""
        return self._path(chunk).is_file()

    @property
    def whole(self) -> bool:
        """Whether every chunk is there."""
        return all(self.has(c) for c in self.chunks)

    def fill(self, make: Make, label: str) -> dict[str, float]:
        """Make the missing chunks; the sum of all chunks' notes.

        Raises:
            RequestError: when the disk is full or not writable.
        """
        missing = [c for c in self.chunks if not self.has(c)]
        if missing:
            with disk_errors(self.folder), bar(label, len(self)) as progress:
                self.folder.mkdir(parents=True, exist_ok=True)
                while missing:
                    progress.to(sum(len(self.rows_of(c)) for c in self.chunks if c not in missing))
                    made = False
                    for c in missing:
                        if self._make(c, make, wait=False):
                            made = True
                            progress.advance(len(self.rows_of(c)))
                    missing = [c for c in missing if not self.has(c)]
                    if missing and not made:  # the rest is under way elsewhere; its maker may die, so stay
                        self._make(missing[0], make, wait=True)
                        missing = [c for c in missing if not self.has(c)]
        return self.notes()

    def notes(self) -> dict[str, float]:
        """The sum of the chunks' notes."""
        total: dict[str, float] = {}
        for c in self.chunks:
            for key, value in read_json(self._path(c).with_suffix(".json")).items():
                total[key] = total.get(key, 0.0) + value
        return total

    def look_up(self, rows: Sequence[int]) -> Tensor:
        """Pictures of these samples, (n, 3, H, W) float32 in [0, 1]."""
        found = [self._chunk(row // self.chunk)[row % self.chunk] for row in rows]
        return torch.from_numpy(np.stack(found)).float() / 255

    def _make(self, chunk: int, make: Make, wait: bool) -> bool:
        """Make one chunk unless another process has or does; whether it was made here."""
        try:
            with FileLock(f"{self._path(chunk)}.lock").acquire(timeout=-1 if wait else 0):
                if self.has(chunk):
                    return False
                x, notes = make(self.rows_of(chunk))
                write_json(self._path(chunk).with_suffix(".json"), notes)
                with (
                    atomic(self._path(chunk)) as part,
                    part.open("wb") as f,
                ):  # last: it says that all is there
                    np.save(f, (x * 255).round().to(torch.uint8).cpu().numpy())
                return True
        except Timeout:
            return False

    def _chunk(self, chunk: int) -> Any:
        if chunk not in self._open:
            self._open[chunk] = np.load(self._path(chunk), mmap_mode="r", allow_pickle=False)
        return self._open[chunk]

    def _path(self, chunk: int) -> Path:
        return self.folder / f"chunk-{chunk:05d}.npy"
