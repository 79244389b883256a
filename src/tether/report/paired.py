"""Which part of the ID test set each shifted set was made of.

With `evaluate.limit` a corrupted set holds some of the ID test examples. A gap against the whole ID set would
then also measure how these examples differ from the others, so it is taken against the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.headline import ADVERSARIAL, SYNTHETIC, SetKey, id_weights
from tether.evaluation.metrics import Array, Floats
from tether.report.records import Predictions


@dataclass(frozen=True)
class CleanParts:
    """Parts of the ID set, and which set belongs to which.

    Attributes:
        keys: the sets, K of them.
        home: position of the ID set; None where there is none, or several.
        rows: the rows of the ID set that make each part.
        part_of: (K,) which part a set was made of; -1 for the whole ID set, or for a set of other examples.
    """

    keys: tuple[SetKey, ...]
    home: int | None
    rows: tuple[Array, ...]
    part_of: Array

    def of(self, sets: Sequence[Predictions]) -> tuple[Predictions, ...]:
        """The parts of a run's ID set, with the predictions on the examples as they are."""
        if self.home is None:
            return ()
        s = sets[self.home]
        return tuple(
            Predictions(s.key, s.ids[rows], s.labels[rows], s.probabilities[rows], s.grouping.rows(rows))
            for rows in self.rows
        )

    def columns(self, inside: Floats) -> Floats:
        """Weights (K + parts, K): scores of the sets and parts @ these = the ID score each gap is against.

        Args:
            inside: (K,) weights of the whole ID score.
        """
        k = len(self.keys)
        out = np.zeros((k + len(self.rows), k))
        for i, part in enumerate(self.part_of):
            if part >= 0:
                out[k + part, i] = 1.0
            else:
                out[:k, i] = inside
        return out


def rows_at_home(s: Predictions, home: Predictions) -> Array | None:
    """The rows of `home` that hold the examples of `s`, in its order; None unless it has all of them."""
    if not len(home.ids):
        return None
    rows = np.searchsorted(home.ids, s.ids)  # both are in order of their ids
    rows[rows == len(home.ids)] = 0
    same = np.array_equal(home.ids[rows], s.ids) and np.array_equal(home.labels[rows], s.labels)
    return rows if same else None


def clean_parts(sets: Sequence[Predictions]) -> CleanParts:
    """Find the parts; examples are the same where id and label are.

    Example:
        >>> clean_parts(run.sets).part_of  # doctest: +SKIP
        array([-1,  0,  0,  0])
    """
    keys = tuple(s.key for s in sets)
    weights = id_weights(keys)
    part_of = np.full(len(keys), -1)
    homes = np.flatnonzero(weights == 1)
    if len(homes) != 1:
        return CleanParts(keys, None, (), part_of)
    home = sets[int(homes[0])]
    found: dict[bytes, tuple[int, Array]] = {}
    for i, s in enumerate(sets):
        if s.key.kind not in (SYNTHETIC, ADVERSARIAL) or not 0 < len(s.ids) < len(home.ids):
            continue
        rows = rows_at_home(s, home)
        if rows is not None:
            part_of[i] = found.setdefault(s.ids.tobytes(), (len(found), rows))[0]
    return CleanParts(keys, int(homes[0]), tuple(rows for _, rows in found.values()), part_of)
