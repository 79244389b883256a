"""Which evaluation sets make the headline, and with what weight each counts.

Natural, synthetic and adversarial sets are never averaged with each other. A shift that training saw is in no
headline (METHODS 1.12): it has a number of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


def is_seen(key: SetKey, seen: Collection[str]) -> bool:
    """Whether a set is one that training saw: a shift goes by its name, a natural domain is never seen.

    Example:
        >>> is_seen(SetKey("fog", "synthetic", 3), {"fog"}), is_seen(SetKey("fog", "natural"), {"fog"})
        (True, False)
    """
    return key.kind in (SYNTHETIC, ADVERSARIAL) and key.evalset in seen


def kind_weights(sets: Sequence[SetKey], kind: str, seen: Collection[str] = ()) -> Floats:
    """Weight of each set in the mean of a kind, (len(sets),): over severities first, then over names.

    So a corruption tested at one severity counts as much as one tested at five. NaN when the kind has no set:
    a mean over nothing must not look like a zero.

    Args:
        seen: names of shifts that training saw; they are left out.
    """
    return _weights(sets, [s.kind == kind and not is_seen(s, seen) for s in sets])


def seen_weights(sets: Sequence[SetKey], seen: Collection[str]) -> Floats:
    """The same over the sets that training saw, of whatever kind; NaN when there is none."""
    return _weights(sets, [is_seen(s, seen) for s in sets])


def _weights(sets: Sequence[SetKey], chosen: Sequence[bool]) -> Floats:
    mine = [s.evalset for s, taken in zip(sets, chosen, strict=True) if taken]
    if not mine:
        return np.full(len(sets), np.nan)
    names = len(set(mine))
    return np.array(
        [
            1.0 / (names * mine.count(s.evalset)) if taken else 0.0
            for s, taken in zip(sets, chosen, strict=True)
        ]
    )


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
