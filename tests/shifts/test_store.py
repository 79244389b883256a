"""The store of generated pictures: resumed after a kill, shared by processes, whole or absent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tether.shifts.discrete.store import Store

N, CHUNK = 22, 4


def pictures_of(rows):
    """A picture tells its row."""
    return torch.stack([torch.full((3, 8, 8), row / 255) for row in rows]), {"made": len(rows)}


def a_store(folder: Path) -> Store:
    return Store(folder / "s", np.arange(N) * 5, CHUNK)


def test_every_row_is_found_as_it_was_made(tmp_path):
    store = a_store(tmp_path)
    assert not store.whole
    assert store.fill(pictures_of, "test") == {"made": N}
    assert store.whole
    assert len(store.chunks) == 6  # the last one of two rows
    x = store.look_up([21, 0, 9, 9])
    assert x.dtype == torch.float32
    torch.testing.assert_close(x[:, 0, 0, 0], torch.tensor([21, 0, 9, 9]) / 255)
    assert isinstance(store._chunk(0), np.memmap)


def test_work_goes_on_after_an_error_and_whole_chunks_are_not_made_again(tmp_path):
    store, done = a_store(tmp_path), []

    def breaks(rows):
        if rows[0] >= 12:
            raise KeyboardInterrupt
        done.append(rows[0])
        return pictures_of(rows)

    with pytest.raises(KeyboardInterrupt):
        store.fill(breaks, "test")
    assert done == [0, 4, 8]
    assert [store.has(c) for c in store.chunks] == [True] * 3 + [False] * 3

    def rest(rows):
        done.append(rows[0])
        return pictures_of(rows)

    assert a_store(tmp_path).fill(rest, "test") == {"made": N}
    assert done == [0, 4, 8, 12, 16, 20]
    a_store(tmp_path).fill(lambda rows: pytest.fail("made again"), "test")


def _fill(folder: str, log: str, pause: float) -> None:
    def make(rows):
        time.sleep(pause)
        with open(log, "a") as f:
            f.write(f"{os.getpid()} {rows[0]}\n")
        return pictures_of(rows)

    a_store(Path(folder)).fill(make, "test")


def _start(*arguments) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=_fill, args=arguments)
    process.start()
    return process


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_processes_share_the_chunks_and_make_none_twice(tmp_path):
    log = tmp_path / "log"
    both = [_start(str(tmp_path), str(log), 0.05) for _ in range(2)]
    for process in both:
        process.join(30)
        assert process.exitcode == 0
    lines = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(row) for _, row in lines) == [0, 4, 8, 12, 16, 20]
    assert len({pid for pid, _ in lines}) == 2
    store = a_store(tmp_path)
    assert store.notes() == {"made": N}
    torch.testing.assert_close(store.look_up(range(N))[:, 0, 0, 0], torch.arange(N) / 255)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_killed_process_leaves_its_chunk_to_the_other(tmp_path):
    log = tmp_path / "log"
    slow = _start(str(tmp_path), str(log), 60.0)  # holds the lock of chunk 0 and never ends
    lock = tmp_path / "s" / "chunk-00000.npy.lock"
    while not lock.exists():
        time.sleep(0.01)
    time.sleep(0.2)
    other = _start(str(tmp_path), str(log), 0.0)
    while not log.exists() or len(log.read_text().splitlines()) < 5:  # all but the held one
        time.sleep(0.01)
    assert not a_store(tmp_path).has(0)
    assert other.is_alive()
    os.kill(slow.pid, signal.SIGKILL)
    slow.join(10)
    other.join(30)
    assert other.exitcode == 0
    assert a_store(tmp_path).whole
