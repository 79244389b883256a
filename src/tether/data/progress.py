"""Progress bars with an estimate; every step of this room takes one, or None to stay quiet."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


def progress_bars() -> Progress:
    """Bars on stderr, so that stdout stays readable by a program.

    Example:
        >>> with progress_bars() as bars:
        ...     _ = bars.add_task("reading", total=1)
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
