"""What a run will take, from a few measured steps and batches, before anything is spent."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tether import methods
from tether.compose import method_of, on_data
from tether.config import Config
from tether.data import DataBundle
from tether.evaluation.predict import predict_batches
from tether.evaluation.suite import EvalSet
from tether.methods import Initial, Method, Trained
from tether.models.load import Loaded, load_backbone
from tether.models.model import Model
from tether.progress import silenced
from tether.scene import on_model, start, suite_of
from tether.shifts import Supplies
from tether.supply import ready, supplied, supplies_of
from tether.teachers.initial import initial_teacher
from tether.training import Engine, Fitted, fit, frozen_runner

STEPS = 4  # the first one warms caches up; the median of the rest counts
SAMPLED = 50  # samples of a test set that are run to learn its cost


@dataclass(frozen=True)
class Estimate:
    """Seconds by part, and the most memory held while training.

    Attributes:
        step_seconds: median of the measured steps.
        train_seconds: all steps of the student.
        teacher_seconds: all steps of the teachers that have to be trained first, were none cached.
        choose_seconds: the finish's look at validation.
        test_seconds: the stress test.
        peak_memory_bytes: while training.
    """

    step_seconds: float
    train_seconds: float
    teacher_seconds: float
    choose_seconds: float
    test_seconds: float
    peak_memory_bytes: int

    @property
    def seconds(self) -> float:
        """The whole run."""
        return self.train_seconds + self.teacher_seconds + self.choose_seconds + self.test_seconds


def estimate(config: Config, data: DataBundle, engine: Engine, loaded: Loaded) -> Estimate:
    """Measure a few steps of the student and of each teacher to be trained, and a batch of each test set.

    Nothing is kept: the steps run in a temporary folder on models of their own. A teacher that is not
    trained yet is stood in for by the untrained model, which costs the same.
    """
    supplies = supplies_of(config, data, engine, loaded)
    method = supplied(on_data(method_of(config), config, data), supplies)
    suite = suite_of(config, data, supplies)
    total = config.train.total_steps(len(data.train))
    with silenced():
        taught = [_teacher_steps(s, config, data, engine, supplies) for s in method.to_train]
        student = _steps(method, config, data, engine)
        model = start("random", load_backbone(config.model), data, config.seed, engine).to(engine.device)
        if method.predict.calibrate is not None:
            method.tuning.apply(model)  # the rule reads parts that the tuning adds
            some = data.id_val.batch(range(min(2, len(data.id_val)))).to(engine.device)
            model.to(engine.device)
            method = replace(method, predict=method.predict.settled(model, [some]))
        judged = sum(_set_seconds(s, model, method, config, engine) for s in suite.validation)
        tested = sum(_set_seconds(s, model, method, config, engine) for s in suite.tests)
    trains = student.steps > 0
    return Estimate(
        step_seconds=student.step_seconds,
        train_seconds=student.step_seconds * total if trains else 0.0,
        teacher_seconds=total
        * sum(t.step_seconds * s.times for t, s in zip(taught, method.to_train, strict=True)),
        choose_seconds=judged * (method.finish.judged + _looks(method) + 1),
        test_seconds=tested,
        peak_memory_bytes=max([student.peak_memory_bytes, *(t.peak_memory_bytes for t in taught)]),
    )


def _looks(method: Method) -> int:
    return 0 if method.blend is None else method.blend.looks(len(method.ingredients) + 1)


def _teacher_steps(
    source: Trained, config: Config, data: DataBundle, engine: Engine, supplies: Supplies
) -> Fitted:
    method = ready(methods.build(source.method, source.options), data, supplies)
    return _steps(method, on_model(config, source.model or config.model.name, data), data, engine)


def _steps(method: Method, config: Config, data: DataBundle, engine: Engine) -> Fitted:
    model = start("random", load_backbone(config.model), data, config.seed, engine)
    torch.manual_seed(config.seed)
    groups = method.tuning.apply(model)
    model.to(engine.device)
    stand_in = None
    runners = {}
    for name, source in method.teachers.items():
        if isinstance(source, Initial):
            runners[name] = initial_teacher(model, method.tuning)
            continue
        if stand_in is None:
            other = start("random", load_backbone(config.model), data, config.seed, engine)
            stand_in = frozen_runner(other.to(engine.device))
        runners[name] = stand_in
    recipe = config.train.model_copy(update={"steps": STEPS, "patience": None, "max_seconds": None})
    with tempfile.TemporaryDirectory() as folder:
        return fit(
            model, method, groups, data.train, runners, recipe, engine, config.seed, Path(folder), "estimate",
            "steps",
        )  # fmt: skip


def _set_seconds(evalset: EvalSet, model: Model, method: Method, config: Config, engine: Engine) -> float:
    """Seconds for the whole set, from its first samples."""
    count = min(SAMPLED, config.evaluate.batch_size, len(evalset.examples))
    began = time.monotonic()
    model.eval()
    predict_batches(model, method.predict, [evalset.batch(range(count), model)], engine)
    return (time.monotonic() - began) / count * len(evalset.examples)
