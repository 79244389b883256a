"""Which evaluation sets make the headline, and with what weight each counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.metrics import Floats

ID, NATURAL, SYNTHETIC, ADVERSARIAL = "id", "natural", "synthetic", "adversarial"
KINDS = (ID, NATURAL, SYNTHETIC, ADVERSARIAL)


@dataclass(frozen=True, order=True)
class SetKey:
    """Names one evaluation set: a clean one has severity 0, a corruption 1..5.

    Example:
        >>> str(SetKey("fog", "synthetic", 3))
        'fog 3'
    """

    evalset: str
    kind: str
    severity: int = 0

    def __str__(self) -> str:
        return f"{self.evalset} {self.severity}" if self.severity else self.evalset


def kind_weights(sets: Sequence[SetKey], kind: str) -> Floats:
    """Weight of each set in the mean of a kind, (len(sets),): over severities first, then over names.

    So a corruption tested at one severity counts as much as one tested at five. NaN when the kind has no set:
    a mean over nothing must not look like a zero.
    """
    mine = [s.evalset for s in sets if s.kind == kind]
    if not mine:
        return np.full(len(sets), np.nan)
    names = set(mine)
    return np.array([1.0 / (len(names) * mine.count(s.evalset)) if s.kind == kind else 0.0 for s in sets])


def id_weights(sets: Sequence[SetKey]) -> Floats:
    """The ID score is the set named `id_test` where there is one, else the mean of all sets of kind id."""
    tests = np.array([1.0 if s.kind == ID and s.evalset == "id_test" else 0.0 for s in sets])
    return tests if tests.sum() == 1 else kind_weights(sets, ID)


def headline_kind(sets: Sequence[SetKey]) -> str:
    """What the headline OOD is made of: natural domains if there are any, else the synthetic sets.

    Example:
        >>> headline_kind([SetKey("id_test", "id"), SetKey("fog", "synthetic", 1)])
        'synthetic'
    """
    return NATURAL if any(s.kind == NATURAL for s in sets) else SYNTHETIC
