"""What may steer a run: validation, and the choices that are made on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tether.batch import Batch
from tether.config import Config
from tether.data import DataBundle
from tether.evaluation.predict import calibration, make_judge
from tether.evaluation.suite import Suite
from tether.finish import Blended, Finished, Judge, Start
from tether.methods import Method
from tether.models.model import Model
from tether.prediction import Predict
from tether.progress import Bar, bar
from tether.teachers import Ingredient
from tether.training import Engine


def validation(
    method: Method,
    config: Config,
    suite: Suite,
    data: DataBundle,
    engine: Engine,
    progress: Bar | None = None,
) -> Judge:
    """Scores a model on validation; all that steers a choice sees nothing else."""
    each = None if progress is None else progress.advance
    size = config.evaluate.batch_size

    def seen(model: Model) -> Iterator[Batch]:
        return calibration(method, model, data.id_val, engine, size, config.seed)

    return make_judge(method.predict, suite.validation, engine, size, each, seen)


def settle(method: Method, student: Model, data: DataBundle, config: Config, engine: Engine) -> Predict:
    """The method's rule with what it learns from ID validation."""
    if method.predict.calibrate is None:
        return method.predict
    size = config.evaluate.batch_size
    with bar("calibrating", len(data.id_val)) as progress:
        found = calibration(method, student, data.id_val, engine, size, config.seed, progress.advance)
        return method.predict.settled(student, found)


def blend(
    method: Method,
    student: Model,
    others: Mapping[str, Ingredient],
    config: Config,
    suite: Suite,
    data: DataBundle,
    engine: Engine,
) -> list[Blended]:
    """Mix the student's weights with those of the method's other trainings."""
    if method.blend is None:
        return []
    with bar("mixing on validation", method.blend.looks(len(others) + 1)) as progress:
        judge = validation(method, config, suite, data, engine, progress)
        return method.blend.apply(student, {name: o.state for name, o in others.items()}, judge)


def finish(
    method: Method,
    student: Model,
    origin: Start,
    config: Config,
    suite: Suite,
    data: DataBundle,
    engine: Engine,
) -> Finished:
    """Apply the method's finish."""
    with bar("choosing on validation", method.finish.judged) as progress:
        judge = validation(method, config, suite, data, engine, progress)
        return method.finish.apply(student, origin, judge)
