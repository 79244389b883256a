"""Every method's scores at the point and over one shared set of resamples.

The comparison, and whatever else wants an interval, is arithmetic over these arrays: since all methods see
the same resampled examples, a difference of two draws is a paired one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from tether.errors import RequestError
from tether.evaluation.bootstrap import (
    RESAMPLES,
    percentile_interval,
    resample_means,
    resample_scores,
    seed_weights,
)
from tether.evaluation.groups import groups_of
from tether.evaluation.headline import NATURAL, SetKey, id_weights, kind_weights, seen_weights
from tether.evaluation.headline_metric import OVER_GROUPS, Cells, cells
from tether.evaluation.metrics import Floats
from tether.evaluation.statistics import Interval
from tether.report.paired import clean_parts
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

    def p_value(self) -> float:
        """Two-sided p of a difference, from its bootstrap standard error; NaN where it is not known.

        The share of resamples beyond 0 cannot fall below 1/R, which Holm's factor would make useless.
        """
        if not self.interval().known:
            return float("nan")
        error = float(np.std(self.draws, ddof=1))
        if error == 0:  # never varies: equal everywhere, or different everywhere
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stats.norm.sf(abs(self.value) / error))


@dataclass(frozen=True)
class MethodScores:
    """Score of one method on every evaluation set, seeds averaged: accuracy, or another headline metric.

    Attributes:
        method: its name.
        runs: its runs, by seed.
        keys: the sets, K of them.
        points: (K,) score.
        draws: (R, K) score over the resamples.
        seed_points: (S, K) score of each seed.
        seed_draws: (R, S, K) score of each seed over the resamples.
        clean_points: (K,) ID score that each set's gap is taken against: of the same examples where the set
            is made of some of the ID test set's, else of the whole ID test set.
        clean_draws: (R, K) the same over the resamples.
        clean_seed_points: (S, K) the same of each seed.
        seen: names of the shifts that some of the compared methods saw in training; in no headline.
    """

    method: str
    runs: tuple[Run, ...]
    keys: tuple[SetKey, ...]
    points: Floats
    draws: Floats
    seed_points: Floats
    seed_draws: Floats
    clean_points: Floats
    clean_draws: Floats
    clean_seed_points: Floats
    seen: frozenset[str] = frozenset()

    def weighted(self, weights: Floats) -> Draws:
        """A weighted mean over sets, weights (K,)."""
        return Draws(float(self.points @ weights), self.draws @ weights)

    def id(self) -> Draws:
        """Score on the ID test set."""
        return self.weighted(id_weights(self.keys))

    def kind(self, kind: str) -> Draws:
        """Mean score over the sets of a kind that no method saw in training; NaN when there is none."""
        return self.weighted(kind_weights(self.keys, kind, self.seen))

    def of_seen(self) -> Draws:
        """Mean score over the sets that some method saw in training; NaN when there is none."""
        return self.weighted(seen_weights(self.keys, self.seen))

    @property
    def clean(self) -> MethodScores:
        """The same method, each set's score replaced by the ID score that its gap is taken against.

        So `m.clean.kind("synthetic")` is ID accuracy on the very examples that were corrupted.
        """
        return replace(
            self,
            points=self.clean_points,
            draws=self.clean_draws,
            seed_points=self.clean_seed_points,
        )

    def named(self, evalset: str, kind: str) -> Draws:
        """Mean score over the severities of one set."""
        mine = np.array([float((k.evalset, k.kind) == (evalset, kind)) for k in self.keys])
        return self.weighted(mine / mine.sum())


def measure(
    runs: Sequence[Run], resamples: int = RESAMPLES, seed: int = 0, metric: str = "accuracy"
) -> tuple[MethodScores, ...]:
    """Scores of each method, in the order in which the methods first appear.

    Sets that show the same examples in another way (the ID set and its corruptions) are resampled together,
    since an example that is hard once is hard again; each natural domain is resampled on its own.

    Args:
        runs: comparable ones (`runs.check_comparable`).
        resamples: how many.
        seed: of the draws.
        metric: one of `headline_metric.HEADLINE_METRICS`.

    Raises:
        RequestError: for another metric, or one over groups where a set has none.
    """
    rng = np.random.default_rng(seed)
    keys = runs[0].keys
    # Behind a run's sets stand the parts of its ID set that were corrupted, (K + parts) in all.
    parts = clean_parts(runs[0].sets)
    sets = [(*run.sets, *parts.of(run.sets)) for run in runs]
    scored = (
        None
        if metric == "accuracy"
        else [[_cells(metric, r, s) for s in mine] for r, mine in zip(runs, sets, strict=True)]
    )
    draws = np.empty((resamples, len(runs), len(sets[0])))
    for group in _same_examples(sets[0]):
        if scored is None:
            rows = np.stack([mine[k].correct() for mine in sets for k in group])  # (runs * sets, N)
            found = resample_means(rows, rng, resamples)
        else:
            found = resample_scores([each[k] for each in scored for k in group], rng, resamples)
        draws[:, :, group] = found.reshape(resamples, len(runs), len(group))
    if scored is None:
        points = np.array([[s.correct().mean() for s in mine] for mine in sets])  # (runs, K + parts)
    else:
        points = np.array([[s.value() for s in each] for each in scored])
    clean = parts.columns(id_weights(keys))  # (K + parts, K)
    clean_points, clean_draws = points @ clean, draws @ clean
    points, draws = points[:, : len(keys)], draws[:, :, : len(keys)]
    seen = frozenset[str]().union(*(run.seen or () for run in runs))
    out = []
    for method in dict.fromkeys(run.method for run in runs):
        mine = sorted((i for i, run in enumerate(runs) if run.method == method), key=lambda i: runs[i].seed)
        # By its name, so that the same runs in another order, or beside others, give the same numbers.
        own = np.random.default_rng([seed, zlib.crc32(method.encode("utf-8", "surrogatepass"))])
        weights = seed_weights(len(mine), own, resamples)  # (R, S)
        out.append(
            MethodScores(
                method=method,
                runs=tuple(runs[i] for i in mine),
                keys=keys,
                points=points[mine].mean(axis=0),
                draws=np.einsum("rs,rsk->rk", weights, draws[:, mine]),
                seed_points=points[mine],
                seed_draws=draws[:, mine],
                clean_points=clean_points[mine].mean(axis=0),
                clean_draws=np.einsum("rs,rsk->rk", weights, clean_draws[:, mine]),
                clean_seed_points=clean_points[mine],
                seen=seen,
            )
        )
    return tuple(out)


def _cells(metric: str, run: Run, s: Predictions) -> Cells:
    groups = groups_of(s.labels, s.grouping, run.names)
    if metric in OVER_GROUPS and not groups:
        raise RequestError(
            f"evaluate.metric: {metric} needs groups, and {s.key} of {run.folder} has none; "
            "name their column (data.subgroup), or take accuracy"
        )
    return cells(metric, s.probabilities, s.labels, groups)


def _same_examples(sets: Sequence[Predictions]) -> list[list[int]]:
    """Positions of the sets that share their examples.

    Equal ids mean equal examples except between natural domains: two domains may both be numbered from 0.
    """
    groups: dict[tuple[str, bytes, bytes], list[int]] = {}
    for k, s in enumerate(sets):
        domain = s.key.evalset if s.key.kind == NATURAL else ""
        groups.setdefault((domain, s.ids.tobytes(), s.labels.tobytes()), []).append(k)
    return list(groups.values())
