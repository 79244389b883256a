"""Samples for people to look at: the first few of every set, and some that the model got wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from tether.data.portray import portray
from tether.evaluation.headline import ID, NATURAL
from tether.evaluation.metrics import Array
from tether.evaluation.suite import EvalSet
from tether.models.model import Model

SHOWN = 3  # samples a set, for what a shift looks like
MISTAKES = 12  # more of a clean set: where one run is wrong, another may be right
LONGEST_SIDE = 128  # pixels; nineteen corruptions of photographs would fill a run's folder otherwise
LONGEST_TEXT = 2000  # characters


def rows_to_show(evalset: EvalSet, probabilities: Array | None) -> list[int]:
    """The first three rows, then in ID and natural sets up to twelve wrong ones, sure and unsure.

    Every run keeps its own mistakes, so a report over several has samples on which methods differ, although
    no run knows of the others.

    Args:
        probabilities: (N, C) of these samples; None where they are not at hand.
    """
    rows = list(range(min(SHOWN, len(evalset.examples))))
    if probabilities is None or evalset.kind not in (ID, NATURAL):
        return rows
    labels = evalset.examples.labels
    wrong = (probabilities.argmax(axis=1) != labels) & (labels >= 0)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    mistakes = [int(i) for i in order if wrong[i] and i not in rows]
    count = min(MISTAKES, len(mistakes))
    return rows + [mistakes[i * len(mistakes) // count] for i in range(count)]


def samples(evalset: EvalSet, model: Model, probabilities: Array | None = None) -> list[dict[str, Any]]:
    """Samples of a set as a report shows them, with their ids; pictures at most 128 pixels wide or high."""
    rows = rows_to_show(evalset, probabilities)
    batch = evalset.batch(rows, model)
    if batch.space != "raw":  # embeddings cannot be shown; the samples they were made from can
        batch = evalset.examples.batch(rows)
    batch = batch.to("cpu")
    return [
        {
            "evalset": evalset.name,
            "kind": evalset.kind,
            "severity": evalset.severity,
            "id": int(evalset.examples.ids[row]),
            "label": int(evalset.examples.labels[row]),
            **portray(batch, i, LONGEST_SIDE, LONGEST_TEXT),
        }
        for i, row in enumerate(rows)
    ]
