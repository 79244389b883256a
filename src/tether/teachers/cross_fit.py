"""K teachers, each asked only about training samples that it did not see (METHODS 1.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.errors import RequestError
from tether.methods import Trained
from tether.objective import Runner
from tether.shifts import Draws
from tether.teachers.trained import Making, Teacher, mean_confidence, trained_teacher


def fold_of(ids: Tensor, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each sample, (N,), in 0..K-1: drawn by id, of equal sizes.

    Example:
        >>> sorted(fold_of(torch.arange(6), 3, seed=0).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    drawn = Draws(seed).words(ids, (), "folds").numpy()
    place = np.empty(len(ids), dtype=np.int64)
    place[np.argsort(drawn, kind="stable")] = np.arange(len(ids))
    return place % folds


def cross_fitted(name: str, source: Trained, making: Making) -> Teacher:
    """K teachers, each trained on all folds but one, behind one runner.

    A teacher asked about its own training set is nearly one-hot, and then teaches little beyond the labels;
    one that did not see the sample says what it makes of it. Each starts from a head that was fitted without
    the left-out fold, too.

    Raises:
        RequestError: fewer than 2 folds, fewer samples than folds, or a run that cannot give parts of its
            training set.
    """
    examples, count = making.examples, source.folds
    if count < 2 or making.part is None or len(examples) < count:
        raise RequestError(
            f"cross_fit_folds: expected 0, or 2 to {len(examples)} folds of a training set that is at hand, "
            f"got {count}; 5 is usual"
        )
    folds = fold_of(torch.as_tensor(np.asarray(examples.ids)), count, making.seed)
    alone = replace(source, folds=0)
    taught = [
        trained_teacher(
            f"{name} {k + 1}/{count}",
            alone,
            making.part(np.flatnonzero(folds != k).tolist(), f"without-{k}-of-{count}-s{making.seed}"),
        )
        for k in range(count)
    ]
    unseen = dict(zip(np.asarray(examples.ids).tolist(), folds.tolist(), strict=True))
    run = dispatch([t.run for t in taught], unseen)
    return Teacher(
        run,
        sum(t.seconds for t in taught),
        all(t.cached for t in taught),
        mean_confidence(run, examples, making.engine),
    )


def dispatch(runs: Sequence[Runner], unseen: dict[int, int]) -> Runner:
    """A runner that asks about each sample the teacher that did not see it.

    Args:
        runs: the teachers.
        unseen: sample id -> index of that teacher. Of a sample that none has seen, any will do: the id
            decides.
    """

    def run(batch: Batch, hidden: Sequence[int] = ()) -> Output:
        if hidden:
            raise RequestError(
                "cross_fit_folds: a cross-fitted teacher gives features and logits, not block outputs; "
                "train one teacher (0) for a loss that asks for those"
            )
        which = [unseen.get(i, i % len(runs)) for i in batch.ids.tolist()]
        order = sorted(range(len(which)), key=which.__getitem__)
        parts = [runs[k](batch.take([row for row in order if which[row] == k])) for k in sorted(set(which))]
        back = torch.tensor(sorted(range(len(order)), key=order.__getitem__), device=parts[0].features.device)
        heads = parts[0].logits
        return Output(
            torch.cat([p.features for p in parts])[back],
            {h: torch.cat([p.logits[h] for p in parts])[back] for h in heads},
        )

    return run
