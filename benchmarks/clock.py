"""Seconds by part, for the profiles."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any


class Clock:
    """Seconds by part; what runs inside another part is taken off that one.

    Args:
        whole: parts that keep what runs inside them.
    """

    def __init__(self, whole: frozenset[str] = frozenset()) -> None:
        self._whole = whole
        self._held = 0
        self.seconds: Counter[str] = Counter()
        self._inside: list[float] = []

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its seconds counted as this part."""

        def run(*given: Any, **named: Any) -> Any:
            if self._held:
                return function(*given, **named)
            self._held += part in self._whole
            self._inside.append(0.0)
            began = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                self._held -= part in self._whole
                spent = time.perf_counter() - began
                self.seconds[part] += spent - self._inside.pop()
                if self._inside:
                    self._inside[-1] += spent

        return run
