"""Probabilities of a model on a set, streamed a batch at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from tether.evaluation.suite import EvalSet
from tether.finish import Judge, Scores
from tether.methods import Predict
from tether.models.model import Model
from tether.progress import Bar
from tether.training import Engine

Probabilities = npt.NDArray[np.float32]


def predict_set(
    model: Model,
    rule: Predict,
    evalset: EvalSet,
    engine: Engine,
    batch_size: int,
    progress: Bar | None = None,
) -> Probabilities:
    """(N, C) probabilities in the order of the set; the model runs once a batch, in eval mode."""
    model.eval()
    parts = []
    for start in range(0, len(evalset.examples), batch_size):
        rows = range(start, min(start + batch_size, len(evalset.examples)))
        batch = evalset.batch(rows).to(engine.device)
        with torch.no_grad(), engine.autocast():
            parts.append(rule(model(batch)).float().cpu().numpy())
        if progress is not None:
            progress.advance(len(rows))
    return np.concatenate(parts).astype(np.float32)


def make_judge(
    rule: Predict,
    sets: list[EvalSet],
    engine: Engine,
    batch_size: int,
    each: Callable[[], None] | None = None,
) -> Judge:
    """A judge of models by validation accuracy: ID validation, and the mean over OOD validation sets.

    It is built from validation sets alone, so nothing it steers can have seen a test set (METHODS 1.9).
    """

    def judge(model: Model) -> Scores:
        hits = []
        for evalset in sets:
            probabilities = predict_set(model, rule, evalset, engine, batch_size)
            hits.append(float((probabilities.argmax(1) == evalset.examples.labels).mean()))
        if each is not None:
            each()
        return Scores(id_val=hits[0], ood_val=float(np.mean(hits[1:])) if len(hits) > 1 else None)

    return judge
