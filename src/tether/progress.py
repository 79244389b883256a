"""One progress display for the whole program: bars with an estimate, or plain lines in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY = 10.0  # seconds between lines of one bar in a log file


@dataclass
class _State:
    """Bars nest (a grid, a run, its steps), and all are drawn by one display."""

    live: Progress | None = None
    depth: int = 0
    quiet: bool = False
    console: Console = field(default_factory=lambda: Console(stderr=True))


_state = _State()


class Bar:
    """One task under way: `advance` as work is done, `note` to say what it is at."""

    def __init__(self, description: str, total: float, show: Callable[[Bar, bool], None]) -> None:
        self.description = description
        self.total = total
        self.done = 0.0
        self.started = time.monotonic()
        self.last_line = self.started
        self._show = show

    def advance(self, amount: float = 1.0) -> None:
        """Count work as done."""
        self.done += amount
        self._show(self, False)

    def to(self, done: float) -> None:
        """Set how much is done, for work whose size is read off something else."""
        self.done = done
        self._show(self, False)

    def note(self, description: str) -> None:
        """Change what the bar says."""
        self.description = description
        self._show(self, False)

    def plain(self) -> str:
        """The bar as a line of text, with the time left."""
        elapsed = time.monotonic() - self.started
        if self.done >= self.total:
            return f"{self.description}: done in {_clock(elapsed)}"
        left = f", {_clock(elapsed / self.done * (self.total - self.done))} left" if self.done > 0 else ""
        return f"{self.description}: {100 * self.done / max(self.total, 1e-9):.0f}%{left}"


@contextlib.contextmanager
def bar(description: str, total: float) -> Iterator[Bar]:
    """Show a bar while the block runs.

    Example:
        >>> with bar("counting", total=3) as b:
        ...     for _ in range(3):
        ...         b.advance()
    """
    if _state.quiet:
        yield Bar(description, total, lambda _bar, _end: None)
        return
    if not _state.console.is_terminal:
        yield from _plain(description, total)
        return
    if _state.live is None:
        _state.live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=_state.console,
            transient=True,
            expand=True,
        )
        _state.live.start()
    live = _state.live
    _state.depth += 1
    task = live.add_task(description, total=total)

    def show(b: Bar, _end: bool) -> None:
        live.update(task, completed=b.done, description=b.description)

    try:
        yield Bar(description, total, show)
    finally:
        live.remove_task(task)
        _state.depth -= 1
        if _state.depth == 0:
            live.stop()
            _state.live = None


def _plain(description: str, total: float) -> Iterator[Bar]:
    """Lines for a log: at most one in ten seconds, and one at the end of anything longer than two."""

    def show(b: Bar, end: bool) -> None:
        now = time.monotonic()
        if end:
            if now - b.started >= 2.0:
                print(b.plain(), file=sys.stderr, flush=True)
        elif now - b.last_line >= PLAIN_EVERY and b.done < b.total:
            b.last_line = now
            print(b.plain(), file=sys.stderr, flush=True)

    b = Bar(description, total, show)
    yield b
    show(b, True)


def say(message: str) -> None:
    """One line for the person at the terminal, above any bar; on stderr, so that stdout stays a program's."""
    if not _state.quiet:
        (_state.live.console if _state.live else _state.console).print(message, highlight=False)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """No bars and no lines while the block runs."""
    before, _state.quiet = _state.quiet, True
    try:
        yield
    finally:
        _state.quiet = before


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"
