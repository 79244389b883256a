"""Host memory that is freed stays with the process: giving it back and asking again costs more."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Mapping
from functools import cache

# Of glibc's <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD = 64 * 2**20  # bytes: the heap grows in pieces of at least this
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Let freed tensors stay in the heap for the next ones; commands and workers call it once.

    As glibc comes, each activation of over 32 MB is a mapping of its own, made and unmade in every step, and
    the top of the heap goes back to the system whenever it is free: its pages are then zeroed anew at first
    touch. A step of LoRA on a convolutional network spent a third of its time so (docs/benchmarks).

    A library does not do this to the process that imports it; call it yourself from Python. Whoever set the
    allocator by environment (MALLOC_*, glibc's tunables, another allocator preloaded) is left in peace.

    Returns:
        Whether it is set; False where the C library is not glibc (macOS, Windows, musl).

    Example:
        >>> keep_freed_memory({"MALLOC_TOP_PAD_": "0"})
        False
    """
    chosen = any(name in environment for name in _VARIABLES)
    chosen = chosen or "glibc.malloc" in environment.get("GLIBC_TUNABLES", "")
    chosen = chosen or "malloc" in environment.get("LD_PRELOAD", "")
    library = _glibc()
    if chosen or library is None:
        return False
    never = -1  # as the unsigned number that it becomes: no free top of the heap is ever that large
    asked = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, never), (_TOP_PAD, _PAD))
    return all(library.mallopt(option, value) == 1 for option, value in asked)


def give_back() -> None:
    """Return what is free to the system, where that can be done; what is measured next starts from there."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    with contextlib.suppress(OSError, TypeError):
        library = ctypes.CDLL(None)
        if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt"):
            library.mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
            library.malloc_trim.argtypes = (ctypes.c_size_t,)
            return library
    return None
