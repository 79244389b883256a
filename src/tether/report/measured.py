"""Every method's scores at the point and over one shared set of resamples.

The comparison, and whatever else wants an interval, is arithmetic over these arrays: since all methods see
the same resampled examples, a difference of two draws is a paired one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.bootstrap import RESAMPLES, percentile_interval, resample_means, seed_weights
from tether.evaluation.headline import NATURAL, SetKey, id_weights, kind_weights
from tether.evaluation.metrics import Floats
from tether.evaluation.statistics import Interval
from tether.report.records import Predictions, Run


@dataclass(frozen=True)
class Draws:
    """A number with its resamples: `value` a float, `draws` (R,)."""

    value: float
    draws: Floats

    def interval(self) -> Interval:
        """The value with its 95% percentile interval."""
        return percentile_interval(self.value, self.draws)

    def minus(self, other: Draws) -> Draws:
        """The paired difference."""
        return Draws(self.value - other.value, self.draws - other.draws)


@dataclass(frozen=True)
class MethodScores:
    """Accuracy of one method on every evaluation set, seeds averaged.

    Attributes:
        method: its name.
        runs: its runs, by seed.
        keys: the sets, K of them.
        points: (K,) accuracy.
        draws: (R, K) accuracy over the resamples.
        seed_points: (S, K) accuracy of each seed.
    """

    method: str
    runs: tuple[Run, ...]
    keys: tuple[SetKey, ...]
    points: Floats
    draws: Floats
    seed_points: Floats

    def weighted(self, weights: Floats) -> Draws:
        """A weighted mean over sets, weights (K,)."""
        return Draws(float(self.points @ weights), self.draws @ weights)

    def id(self) -> Draws:
        """Accuracy on the ID test set."""
        return self.weighted(id_weights(self.keys))

    def kind(self, kind: str) -> Draws:
        """Mean accuracy over the sets of a kind; NaN when there is none."""
        return self.weighted(kind_weights(self.keys, kind))


def measure(runs: Sequence[Run], resamples: int = RESAMPLES, seed: int = 0) -> tuple[MethodScores, ...]:
    """Scores of each method, in the order in which the methods first appear.

    Sets that show the same examples in another way (the ID set and its corruptions) are resampled together,
    since an example that is hard once is hard again; each natural domain is resampled on its own.

    Args:
        runs: comparable ones (`runs.check_comparable`).
        resamples: how many.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    keys = runs[0].keys
    draws = np.empty((resamples, len(runs), len(keys)))
    for group in _same_examples(runs[0].sets):
        rows = np.stack([run.sets[k].correct() for run in runs for k in group])  # (runs * sets, N)
        draws[:, :, group] = resample_means(rows, rng, resamples).reshape(resamples, len(runs), len(group))
    points = np.array([[s.correct().mean() for s in run.sets] for run in runs])  # (runs, K)
    out = []
    for method in dict.fromkeys(run.method for run in runs):
        mine = sorted((i for i, run in enumerate(runs) if run.method == method), key=lambda i: runs[i].seed)
        weights = seed_weights(len(mine), rng, resamples)  # (R, S)
        out.append(
            MethodScores(
                method=method,
                runs=tuple(runs[i] for i in mine),
                keys=keys,
                points=points[mine].mean(axis=0),
                draws=np.einsum("rs,rsk->rk", weights, draws[:, mine]),
                seed_points=points[mine],
            )
        )
    return tuple(out)


def _same_examples(sets: Sequence[Predictions]) -> list[list[int]]:
    """Positions of the sets that share their examples.

    Equal ids mean equal examples except between natural domains: two domains may both be numbered from 0.
    """
    groups: dict[tuple[str, bytes, bytes], list[int]] = {}
    for k, s in enumerate(sets):
        domain = s.key.evalset if s.key.kind == NATURAL else ""
        groups.setdefault((domain, s.ids.tobytes(), s.labels.tobytes()), []).append(k)
    return list(groups.values())
