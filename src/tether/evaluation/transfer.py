"""How well features still serve other tasks: linear probe and nearest neighbours (document 003, transfer)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import softmax

from tether.data import Examples
from tether.evaluation.bootstrap import paired_difference
from tether.evaluation.metrics import Floats, correct
from tether.evaluation.statistics import Interval, wilson
from tether.models.backbone import Backbone
from tether.models.probe import fit_probe
from tether.training import Engine

NEIGHBOURS = 20
PROBE, KNN = "probe", "knn"


@dataclass(frozen=True)
class Features:
    """Features (N, D) and labels (N,) of the three sets that a probe needs."""

    train: tuple[Floats, np.ndarray]
    val: tuple[Floats, np.ndarray]
    test: tuple[Floats, np.ndarray]


@dataclass(frozen=True)
class Transfer:
    """One way to use the features, before tuning and after it, on the same test samples.

    Attributes:
        before: accuracy with the initial model's features, with Wilson's interval.
        after: with the tuned model's.
        change: after - before with the paired bootstrap's interval; inside the noise when it holds 0.
    """

    before: Interval
    after: Interval
    change: Interval


def extract(
    backbone: Backbone,
    examples: Examples,
    engine: Engine,
    batch_size: int,
    done: Callable[[float], None] | None = None,
) -> tuple[Floats, np.ndarray]:
    """Pooled features (N, D) in double precision, and labels (N,)."""
    parts = []
    for start in range(0, len(examples), batch_size):
        rows = range(start, min(start + batch_size, len(examples)))
        with torch.no_grad(), engine.autocast():
            found = backbone.encode(examples.batch(rows).to(engine.device)).features
        parts.append(found.double().cpu().numpy())
        if done is not None:
            done(len(rows))
    return np.concatenate(parts), examples.labels


def probe_hits(features: Features, classes: int) -> Floats:
    """1.0 for each right test sample, (N,), of a logistic regression whose strength validation chose."""
    probe = fit_probe(*features.train, *features.val, classes)
    with torch.no_grad():
        logits = probe.head(torch.from_numpy(features.test[0]).float()).numpy()
    return correct(softmax(logits, axis=1), features.test[1])


def knn_hits(features: Features, neighbours: int = NEIGHBOURS) -> Floats:
    """1.0 for each right test sample, (N,): the vote of the nearest training samples by cosine.

    Votes weigh 1/distance. There are never more neighbours than the smaller half of the training samples.
    """
    from sklearn.neighbors import KNeighborsClassifier

    x, y = features.train
    k = max(1, min(neighbours, len(x) // 2))
    model = KNeighborsClassifier(k, metric="cosine", weights="distance", algorithm="brute").fit(x, y)
    return np.asarray(model.predict(features.test[0]) == features.test[1], dtype=np.float64)


def compared(before: Floats, after: Floats) -> Transfer:
    """Accuracies and their paired change, from hits on the same samples in the same order.

    Example:
        >>> compared(np.array([1.0, 0.0]), np.array([1.0, 1.0])).change.value
        0.5
    """
    n = len(before)
    return Transfer(
        wilson(int(before.sum()), n), wilson(int(after.sum()), n), paired_difference(after, before)
    )


def transferred(before: Features, after: Features, classes: int) -> dict[str, Transfer]:
    """Both ways: the features of the initial model against those of the tuned one."""
    return {
        PROBE: compared(probe_hits(before, classes), probe_hits(after, classes)),
        KNN: compared(knn_hits(before), knn_hits(after)),
    }
