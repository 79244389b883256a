"""Probabilities of a model on a set, streamed a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tether.batch import Batch
from tether.data import Examples, project
from tether.data.ahead import ahead
from tether.evaluation.calibration import fit_temperature
from tether.evaluation.headline import ID
from tether.evaluation.suite import EvalSet
from tether.finish import Judge, Scores
from tether.methods import Method, Predict
from tether.models.model import Model
from tether.progress import Bar
from tether.shifts import Attack, Draws, Mixture, View
from tether.training import Engine

Probabilities = NDArray[np.float32]
HELD_VALUES = 2**26  # a quarter of a gigabyte of pixels a validation set


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
    made = batches(evalset, batch_size, model)
    # What is made against the model cannot be made while the model runs.
    source = made if evalset.asks_model else ahead(made)
    found = predict_batches(model, rule, source, engine, progress)
    ordered = np.empty_like(found)
    ordered[evalset.order] = found
    return project(ordered, evalset.answer).astype(np.float32)


def batches(evalset: EvalSet, batch_size: int, model: Model | None = None) -> Iterator[Batch]:
    """The set a batch at a time, rows in its `order`; an attack is made against the model."""
    rows = evalset.order
    for start in range(0, len(rows), batch_size):
        yield evalset.batch(rows[start : start + batch_size].tolist(), model)


def predict_batches(
    model: Model, rule: Predict, source: Iterable[Batch], engine: Engine, progress: Bar | None = None
) -> Probabilities:
    """Probabilities of batches, rows in their order."""
    parts = []
    for batch in source:
        with torch.no_grad(), engine.autocast():
            parts.append(rule.run(model, batch.to(engine.device)).float().cpu().numpy())
        if progress is not None:
            progress.advance(len(batch))
    return np.concatenate(parts).astype(np.float32)


def calibration(
    method: Method,
    model: Model,
    examples: Examples,
    engine: Engine,
    batch_size: int,
    seed: int,
    done: Callable[[float], None] | None = None,
) -> Iterator[Batch]:
    """What a rule that learns may look at: ID validation, clean and in each of the method's views.

    A view that asks a teacher (an attack) is left out: teachers are gone by then.
    """
    draws = Draws(seed)
    views = [v for v in method.views.values() if not _asks(v)]
    for start in range(0, len(examples), batch_size):
        rows = range(start, min(start + batch_size, len(examples)))
        clean = examples.batch(rows).to(engine.device)
        yield clean
        for view in views:
            yield view(clean, model, {}, draws)
        if done is not None:
            done(len(rows))


def temperature(
    model: Model, rule: Predict, validation: Sequence[EvalSet], engine: Engine, batch_size: int
) -> float | None:
    """The temperature that calibrates the model on ID validation; None without such a set."""
    found = next((s for s in validation if s.kind == ID and len(s.examples)), None)
    if found is None:
        return None
    return fit_temperature(predict_set(model, rule, found, engine, batch_size), found.examples.labels)


def _asks(view: View) -> bool:
    shifts = (view.shifts or ()) if isinstance(view, Mixture) else ()
    return any(isinstance(s, Attack) for s in shifts)


def make_judge(
    rule: Predict,
    sets: Sequence[EvalSet],
    engine: Engine,
    batch_size: int,
    each: Callable[[], None] | None = None,
    seen: Callable[[Model], Iterable[Batch]] | None = None,
) -> Judge:
    """A judge of models by validation accuracy: ID validation, and the mean over OOD validation sets.

    It is built from validation sets alone, so nothing it steers can have seen a test set (METHODS 1.9).

    Args:
        seen: batches that a rule which learns is calibrated on, anew for every model it judges.
    """
    # A sweep judges the same samples many times: make their shifts once, where they fit in memory.
    held: dict[str, list[Batch]] = {}

    def source(evalset: EvalSet, model: Model) -> Iterable[Batch]:
        if evalset.asks_model:
            return batches(evalset, batch_size, model)
        if evalset.name not in held and len(evalset.examples):
            first = evalset.batch([0]).x
            size = first.numel() * len(evalset.examples) if isinstance(first, torch.Tensor) else 0
            if size > HELD_VALUES:
                return batches(evalset, batch_size)
            held[evalset.name] = list(batches(evalset, batch_size))
        return held[evalset.name]

    def judge(model: Model) -> Scores:
        hits = []
        model.eval()
        settled = rule if seen is None else rule.settled(model, seen(model))
        for evalset in sets:
            probabilities = predict_batches(model, settled, source(evalset, model), engine)
            hits.append(float((probabilities.argmax(1) == evalset.examples.labels[evalset.order]).mean()))
        if each is not None:
            each()
        ood = float(np.mean(hits[1:])) if len(hits) > 1 else None
        return Scores(hits[0], ood, len(sets[0].examples))

    return judge
