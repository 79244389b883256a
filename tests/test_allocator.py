"""Freed memory stays: counted by the kernel's page faults, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tether.allocator import _glibc, keep_freed_memory

needs_glibc = pytest.mark.skipif(_glibc() is None, reason="glibc alone has these settings")

FAULTS = """
import resource, sys
from tether.allocator import give_back, keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def once():
    bytearray(100 * 2**20)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
once()
before = faults()
once()
again = faults() - before
give_back()
before = faults()
once()
print(again, faults() - before)
"""


def faults(how: str) -> tuple[int, int]:
    clean = {k: v for k, v in os.environ.items() if "MALLOC" not in k}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True, env=clean
    )
    again, after = map(int, done.stdout.split())
    return again, after


@needs_glibc
def test_what_was_freed_is_used_again_and_can_be_given_back() -> None:
    pages = 100 * 2**20 // os.sysconf("SC_PAGE_SIZE")
    kept, after = faults("keep")
    assert kept < pages / 100
    assert after > pages / 2  # the system took it back and zeroes it anew
    as_it_comes, _ = faults("leave")
    assert as_it_comes > pages / 2


@pytest.mark.parametrize(
    "environment",
    [
        {"MALLOC_TRIM_THRESHOLD_": "131072"},
        {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
        {"LD_PRELOAD": "/usr/lib/libjemalloc.so.2"},
    ],
)
def test_what_the_user_chose_is_left_in_peace(environment: dict[str, str]) -> None:
    assert not keep_freed_memory(environment)
