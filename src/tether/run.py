"""The straight line: config -> data -> student -> teachers -> fit -> finish -> evaluate -> results."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tether.compose import method_of
from tether.config import Config, as_yaml, load_config
from tether.data import DataBundle
from tether.evaluation.efficiency import efficiency
from tether.evaluation.suite import Suite, check_request
from tether.evaluation.summary import write_summary
from tether.files import read_json
from tether.finish import start_state
from tether.folder import (
    begin,
    default_folder,
    is_done,
    only_one,
    summary_of_main,
    write_blend,
    write_data,
    write_merge,
)
from tether.making import making
from tether.methods import Initial, Method
from tether.models.load import Loaded
from tether.models.save import save_adapter, save_model
from tether.prediction import write_rule
from tether.progress import say
from tether.report.card import write_card
from tether.report.runs import read_run
from tether.scene import check_method, ingredients, initial_head, start, suite_of
from tether.shifts import AnyShift, Supplies
from tether.steering import blend, finish, settle, validation
from tether.stress_test import evaluate_into, flops_of_step, inference_of, teacher_seconds
from tether.supply import (
    check_budgets,
    supplied,
    supplies_of,
)
from tether.teachers import Ingredient, Teacher, bind, prepare, with_reference
from tether.teachers import ingredients as other_trainings
from tether.training import Engine, fit
from tether.tune.lora import has_adapters, merge_adapters


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and the numbers of its summary."""

    folder: Path
    summary: Mapping[str, Any]


def train(
    config: str | Path | Mapping[str, Any] | Config, overrides: Sequence[str] = (), **changes: Any
) -> Run:
    """Fine-tune, finish and stress-test once; a finished run of the same config is found, not repeated.

    Args:
        config: a preset's name, a YAML path, a mapping, or a Config.
        overrides: "key=value" as on the command line.
        changes: top-level keys, such as method="rdft" or seed=1.

    Raises:
        RequestError: the request is wrong; nothing half-written stays.
        Interrupted: after Ctrl-C; the same call goes on where it stopped.

    Example:
        >>> import tether
        >>> tether.train("digits", method="lora", seed=0).summary["id_accuracy"]  # doctest: +SKIP
        0.953
    """
    if not isinstance(config, Config):
        config = load_config(config, [*overrides, *(f"{k}={as_yaml(v)}" for k, v in changes.items())])
    folder = Path(config.output) if config.output else default_folder(config)
    if is_done(folder, config):
        say(f"{folder} is finished already; its results are used")
        return Run(folder, read_json(folder / "summary.json"))

    method = method_of(config)
    data, engine, loaded = ingredients(config)
    method, seen = check_method(method, config, data, loaded)
    supplies = supplies_of(config, data, engine, loaded)
    suite = suite_of(config, data, supplies)
    check_request(suite, seen, config.evaluate.allow_seen)
    method = supplied(method, supplies)
    begin(folder, config)
    with only_one(folder, engine.is_main):
        if is_done(folder, config):  # another process was faster
            return Run(folder, read_json(folder / "summary.json"))
        return _trained(folder, config, method, data, engine, loaded, suite, supplies, seen)


def _trained(
    folder: Path,
    config: Config,
    method: Method,
    data: DataBundle,
    engine: Engine,
    loaded: Loaded,
    suite: Suite,
    supplies: Supplies,
    seen: Sequence[AnyShift],
) -> Run:
    """From a begun folder to a finished run."""
    write_data(folder, data)
    made_from = making(config, data, engine, loaded, suite, supplies)
    method, reference = with_reference(method, made_from)
    prepared = prepare(method, made_from, data.classes)
    others = other_trainings(method, made_from)
    torch.manual_seed(config.seed)  # the adapters' initialisation
    student = start(method.start, loaded, data, config.seed, engine)
    head = initial_head(method, loaded, data, config, engine)
    groups = method.tuning.apply(student)
    student.to(engine.device)
    counts = student.parameter_counts()
    teachers = bind(method, student, prepared, head)
    for name, source in method.teachers.items():
        if isinstance(source, Initial):
            check_budgets(method, teachers[name].run, data.id_val, engine.device)
    origin = start_state(student, head)
    runners = {name: teacher.run for name, teacher in teachers.items()}

    fitted = fit(
        student, method, groups, data.train, runners, config.train, engine,
        config.seed, folder, config.fingerprint(), config.method.name,
        validation(method, config, suite, data, engine),
    )  # fmt: skip
    if not engine.is_main:  # what comes now is one process's work
        return Run(folder, summary_of_main(folder))
    flops = flops_of_step(student, method, runners, data, config, engine) if fitted.steps else None
    began = time.monotonic()
    write_blend(folder, blend(method, student, others, config, suite, data, engine))
    finished = finish(method, student, origin, config, suite, data, engine)
    write_merge(folder, finished)
    chosen = time.monotonic() - began
    if has_adapters(student):
        save_adapter(student, folder / "adapter", loaded.source)
    # Timed beside the merged model; a second copy of the network until then.
    unmerged = copy.deepcopy(student) if config.evaluate.efficiency and has_adapters(student) else None
    merge_adapters(student)
    began = time.monotonic()
    method = replace(method, predict=settle(method, student, data, config, engine))
    chosen += time.monotonic() - began
    timed = inference_of(student, method, data, config, engine, unmerged)
    del unmerged
    save_model(student, folder / "model")
    write_rule(method.predict, folder / "model")
    names = suite.seen(seen)
    tested = evaluate_into(folder, student, method, config, suite, engine, config.method.name, names)
    first: list[Teacher | Ingredient] = [*teachers.values(), *others.values()]
    first += [] if reference is None else [reference]
    taught = teacher_seconds(first)
    cost = efficiency(
        engine,
        fitted.train_seconds,
        taught,
        chosen,
        tested,
        fitted.step_seconds,
        config.train.batch_size,
        flops,
        timed,
    )
    summary = write_summary(
        folder, config.method.name, config.seed, counts, fitted, taught, finished,
        validation(method, config, suite, data, engine)(student), sorted(names), cost,
    )  # fmt: skip
    write_card(read_run(folder), folder / "README.md")
    return Run(folder, summary)
