"""Peak memory of a stretch of work, on the host or on a GPU."""

from __future__ import annotations

import contextlib
import re
import resource
import sys
from pathlib import Path

import torch

from tether.allocator import give_back


def reset_peak(device: torch.device) -> None:
    """Start measuring; on Linux the kernel's high-water mark of this process can be reset.

    Memory that was freed but not given back is given back first: it belongs to what ran before.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    give_back()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """The most memory held since `reset_peak`: GPU allocations, or the process's resident set."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found.group(1)) * 1024
    # Where there is no /proc (macOS), the mark covers the whole process and cannot be reset.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
