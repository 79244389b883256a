"""How long texts are against what a model reads of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tether.data.examples import Examples
from tether.progress import bar

BATCH = 256


@dataclass(frozen=True)
class Lengths:
    """Tokens of a set's texts.

    Attributes:
        median: of the tokens a text.
        longest: of them.
        limit: the model's, or None.
        cut: texts that are longer than the limit.
        rows: texts in all.
    """

    median: int
    longest: int
    limit: int | None
    cut: int
    rows: int

    def words(self, name: str) -> str:
        """What is lost, in a line; "" when nothing is."""
        if not self.cut:
            return ""
        return (
            f"{self.cut} of {self.rows} texts of {name} are longer than the model's {self.limit} tokens and "
            f"are cut (median {self.median}, longest {self.longest})"
        )


def lengths(
    sets: Mapping[str, Examples], count: Callable[[Sequence[str]], Sequence[int]], limit: int | None
) -> dict[str, Lengths]:
    """Token counts of each set of texts; sets of pictures are left out."""
    found = {}
    with bar("counting tokens", sum(len(examples) for examples in sets.values())) as progress:
        for name, examples in sets.items():
            tokens: list[int] = []
            for start in range(0, len(examples), BATCH):
                batch = examples.batch(range(start, min(start + BATCH, len(examples))))
                if isinstance(batch.x, tuple):
                    tokens += [int(n) for n in count(batch.x)]
                progress.advance(len(batch))
            if tokens:
                cut = 0 if limit is None else sum(n > limit for n in tokens)
                found[name] = Lengths(int(np.median(tokens)), max(tokens), limit, cut, len(tokens))
    return found
