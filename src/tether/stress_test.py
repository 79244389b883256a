"""The end of a run: the stress test, and what training and predicting cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tether.config import Config
from tether.data import DataBundle
from tether.evaluation.efficiency import Inference, inference
from tether.evaluation.flops import step_flops
from tether.evaluation.measure import measure
from tether.evaluation.predict import temperature
from tether.evaluation.suite import Suite
from tether.methods import Method
from tether.models.model import Model
from tether.objective import Runner
from tether.progress import bar
from tether.teachers import Ingredient, Teacher
from tether.training import Engine


def evaluate_into(
    folder: Path,
    model: Model,
    method: Method,
    config: Config,
    suite: Suite,
    engine: Engine,
    name: str,
    seen: Collection[str] = (),
) -> float:
    """Stress-test the final model and write predictions, samples and results; returns the seconds it took."""
    about = {"run": folder.name, "method": name, "seed": config.seed}
    size = config.evaluate.batch_size
    warmth = temperature(model, method.predict, suite.validation, engine, size)
    return measure(
        model, method.predict, suite.tests, engine, size, folder, about, "stress test", seen,
        config.fingerprint(), replace(suite.names, temperature=warmth),
    )  # fmt: skip


def flops_of_step(
    student: Model,
    method: Method,
    teachers: Mapping[str, Runner],
    data: DataBundle,
    config: Config,
    engine: Engine,
) -> int | None:
    """Operations of one training step on a whole batch, or None when nobody asks."""
    if not config.evaluate.efficiency:
        return None
    rows = range(min(config.train.batch_size, len(data.train)))
    batch = data.train.batch(rows).to(engine.device)
    with bar("counting operations", 1):
        return step_flops(method, student, teachers, batch, engine, config.seed)


def inference_of(
    model: Model,
    method: Method,
    data: DataBundle,
    config: Config,
    engine: Engine,
    unmerged: Model | None = None,
) -> Inference | None:
    """What predicting costs, or None when nobody asks."""
    if not config.evaluate.efficiency:
        return None
    with bar("timing", 1):
        return inference(model, method.predict, data.id_test, engine, unmerged)


def teacher_seconds(first: Iterable[Teacher | Ingredient]) -> float:
    """What training teachers and ingredients cost, also when they were found in the cache."""
    return sum(t.seconds for t in first)
