"""Whether labels mean the same in every set, and in a model that brings classes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tether.data.examples import Ints

MARGIN = 0.2  # by how much a permutation must explain a set better than the labels as they stand
ENOUGH = 0.5  # of the rows, explained by the permutation; below that nothing is clear


def against_model(classes: Sequence[str], model_classes: Sequence[str]) -> list[str]:
    """In words, how a model's class order differs from the data's; [] when it does not.

    Example:
        >>> against_model(["cat", "dog"], ["cat", "dog"])
        []
    """
    if list(classes) == list(model_classes):
        return []
    if sorted(classes) == sorted(model_classes):
        i = next(i for i, (a, b) in enumerate(zip(classes, model_classes, strict=True)) if a != b)
        return [
            f"the model has the data's classes in another order: class {i} is {classes[i]!r} in the data, "
            f"{model_classes[i]!r} in the model"
        ]
    unknown = [name for name in classes if name not in set(model_classes)]
    if not unknown:
        return [f"the model has {len(model_classes)} classes, the data only {len(classes)} of them"]
    return [f"the model lacks {len(unknown)} of the data's {len(classes)} classes, {unknown[0]!r} among them"]


def permuted(
    embeddings: Mapping[str, NDArray[np.floating]], labels: Mapping[str, Ints], classes: Sequence[str]
) -> list[str]:
    """Sets whose labels look like a permutation of train's, in words.

    Each row is given the class of the nearest mean of train's embeddings. Where exchanging class names in a
    set makes many more rows agree with that than its own labels do, the set was probably labelled in another
    order.

    Args:
        embeddings: set -> (N, D), "train" among them.
        labels: set -> (N,).
        classes: class names.
    """
    from scipy.optimize import linear_sum_assignment

    taught = np.unique(labels["train"])
    means = np.stack([embeddings["train"][labels["train"] == c].mean(axis=0) for c in taught])  # (C, D)
    said = []
    for name, values in embeddings.items():
        if name == "train" or not len(values):
            continue
        distance = (means**2).sum(axis=1) - 2 * values @ means.T  # (N, C), up to each row's own length
        guess = taught[distance.argmin(axis=1)]
        table = np.zeros((len(classes), len(classes)), dtype=np.int64)  # (label, guess)
        np.add.at(table, (labels[name], guess), 1)
        rows, best = linear_sum_assignment(-table)
        own, other = table.trace() / len(values), table[rows, best].sum() / len(values)
        if other - own > MARGIN and other > ENOUGH:
            moved = [(r, b) for r, b in zip(rows, best, strict=True) if r != b and table[r, b]]
            a, b = moved[0]
            said.append(
                f"the labels of {name} look exchanged: {other:.0%} of its rows are nearest to train's "
                f"classes under another order, {own:.0%} as they stand ({classes[a]!r} there looks like "
                f"{classes[b]!r})"
            )
    return said
