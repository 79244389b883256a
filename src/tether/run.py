"""The straight line: config -> data -> student -> teachers -> fit -> finish -> evaluate -> results."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tether import methods
from tether.batch import Batch
from tether.compose import method_of, on_data
from tether.config import Config, as_yaml, load_config
from tether.data import DataBundle, load_data
from tether.evaluation.efficiency import Inference, efficiency, inference
from tether.evaluation.flops import step_flops
from tether.evaluation.measure import measure
from tether.evaluation.predict import calibration, make_judge, temperature
from tether.evaluation.suite import Suite, check_request, make_suite
from tether.evaluation.summary import write_summary
from tether.files import read_json
from tether.finish import Blended, Finished, Judge, Start, trained_state
from tether.folder import begin, default_folder, is_done, only_one, write_blend, write_data, write_merge
from tether.methods import Initial, Method
from tether.models.config import ModelConfig
from tether.models.load import SMALL, Loaded, load_backbone
from tether.models.loaded import picture_side
from tether.models.model import Model
from tether.models.save import save_adapter, save_model
from tether.models.start import (
    TEXT_START,
    ProbeData,
    check_text_tower,
    probe_start,
    random_start,
    text_start,
)
from tether.objective import Runner
from tether.prediction import Predict, rule_of, write_rule
from tether.progress import Bar, bar, say
from tether.report.card import write_card
from tether.report.runs import read_run
from tether.shifts import AnyShift, Supplies, modality_in
from tether.supply import (
    all_seen,
    check_budgets,
    check_views,
    ready,
    supplied,
    supplies_of,
)
from tether.teachers import Ingredient, Making, Teacher, bind, prepare, with_reference
from tether.teachers import ingredients as other_trainings
from tether.training import Engine, Fitted, fit
from tether.training.memory import peak_bytes, reset_peak
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
    groups = method.tuning.apply(student)
    student.to(engine.device)
    counts = student.parameter_counts()
    teachers = bind(method, student, prepared)
    for name, source in method.teachers.items():
        if isinstance(source, Initial):
            check_budgets(method, teachers[name].run, data.id_val, engine.device)
    origin = trained_state(student)
    runners = {name: teacher.run for name, teacher in teachers.items()}

    fitted = fit(
        student, method, groups, data.train, runners, config.train, engine,
        config.seed, folder, config.fingerprint(), config.method.name,
        validation(method, config, suite, data, engine),
    )  # fmt: skip
    flops = flops_of_step(student, method, runners, data, config, engine) if fitted.steps else None
    write_blend(folder, blend(method, student, others, config, suite, data, engine))
    finished = finish(method, student, origin, config, suite, data, engine)
    write_merge(folder, finished)
    if has_adapters(student):
        save_adapter(student, folder / "adapter", loaded.source)
    # Timed beside the merged model; a second copy of the network until then.
    unmerged = copy.deepcopy(student) if config.evaluate.efficiency and has_adapters(student) else None
    merge_adapters(student)
    method = replace(method, predict=settle(method, student, data, config, engine))
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


def ingredients(config: Config) -> tuple[DataBundle, Engine, Loaded]:
    """Data at the model's picture size, the engine, and the pretrained backbone."""
    data, loaded = load_data(config.data), load_backbone(config.model)
    if data.skipped:
        say(f"note: {data.skipped} unreadable rows were left out (data.on_error=skip)")
    for note in data.notes:
        say(f"note: {note}")
    if data.train.read.size is None:  # neither the config nor the preset says; texts do not care
        data = data.at(config.model.image_size or picture_side(loaded.backbone))
    return data, Engine(config.train.precision), loaded


def start(kind: str, loaded: Loaded, data: DataBundle, seed: int, engine: Engine) -> Model:
    """The student at step 0."""
    if kind == "random":
        return random_start(loaded, data.classes, seed)
    if kind == TEXT_START:
        return text_start(loaded, data.classes)
    return probe_start(
        loaded, data.classes, ProbeData(data.train, data.id_val, data.fingerprint), engine.device
    )


def check_model(method: Method, loaded: Loaded) -> None:
    """Refuse what the model cannot do, a start or a tuning, of the method or of one that it trains first."""
    # One that starts from another model is asked about that when it is made.
    first = [methods.build(s.method, s.options) for s in method.to_train if s.model is None]
    for each in (method, *first):
        each.tuning.fits(loaded.backbone)
        if each.start == TEXT_START:
            check_text_tower(loaded)


def check_method(
    method: Method, config: Config, data: DataBundle, loaded: Loaded
) -> tuple[Method, tuple[AnyShift, ...]]:
    """Refuse a method that this model or these data cannot run.

    Returns:
        The method with the data's shifts, and all that training will see.
    """
    check_model(method, loaded)
    method = on_data(method, config, data)
    check_views(method, data)
    return method, all_seen(method, data)


def making(
    config: Config, data: DataBundle, engine: Engine, loaded: Loaded, suite: Suite, supplies: Supplies
) -> Making:
    """What a trained teacher of this run would be made from; it loads weights of its own when asked."""

    def part(rows: Sequence[int], name: str) -> Making:
        fewer = replace(data, train=data.train.subset(rows), fingerprint=f"{data.fingerprint}-{name}")
        return making(config, fewer, engine, loaded, suite, supplies_of(config, fewer, engine, loaded))

    def on(name: str) -> Making:
        other = on_model(config, name, data)
        if other.model == config.model:
            return making(config, data, engine, loaded, suite, supplies)
        return making(other, data, engine, load_backbone(other.model), suite, supplies)

    return Making(
        fresh=lambda kind: start(kind, load_backbone(config.model), data, config.seed, engine),
        examples=data.train,
        recipe=config.train,
        engine=engine,
        seed=config.seed,
        made_from={
            "model": loaded.fingerprint,
            "reading": config.model.model_dump(),
            "data": data.fingerprint,
        },
        judge=make_judge(methods.softmax_main, suite.validation, engine, config.evaluate.batch_size),
        ready=lambda method: ready(method, data, supplies),
        train_shifts=data.train_shifts,
        id_val=data.id_val,
        part=part,
        on=on,
    )


def on_model(config: Config, name: str, data: DataBundle) -> Config:
    """The config with another model: by name, or "small" for the small packaged one of the data's kind."""
    name = SMALL[modality_in(data.train)] if name == "small" else name
    return (
        config if name == config.model.name else config.model_copy(update={"model": ModelConfig(name=name)})
    )


def suite_of(config: Config, data: DataBundle, supplies: Supplies) -> Suite:
    """The sets that the final model is tested on, once, and those that may steer a choice."""
    wanted = config.evaluate
    return make_suite(data, wanted.shifts, wanted.severities, wanted.limit, supplies)


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
        return method.finish.apply(student, origin, method.start == "random", judge)


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


def evaluate(
    model: str | Mapping[str, Any],
    config: str | Path | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    label: str | None = None,
    **changes: Any,
) -> Run:
    """Stress-test a run, a saved folder or a hub model without training it.

    A model whose head does not have the data's classes gets what `model.head` says: a linear probe on the
    training set, or a zero-shot head from the class names.

    Args:
        model: its name or folder, or what a config's `model:` may say: {name: ..., head: ..., source: ...}.
        label: what results call it; None for the last part of its name.

    Example:
        >>> import tether
        >>> tether.evaluate("runs/digits-lora_s0", "digits").summary["ood_accuracy"]  # doctest: +SKIP
        0.61
    """
    if not isinstance(config, Config):
        config = load_config(config, [*overrides, *(f"{k}={as_yaml(v)}" for k, v in changes.items())])
    given: Mapping[str, Any] = {"name": model} if isinstance(model, str) else model
    shown = str(given.get("name", "a model"))
    label = label or Path(shown).name
    raw = {**config.flat(), "model": {**config.model.model_dump(), **given}, "method": "linear_probe"}
    config = load_config({**raw, "output": raw["output"] or f"runs/evaluate-{label}"})
    folder = Path(str(config.output))
    if is_done(folder, config):
        say(f"{folder} is finished already; its results are used")
        return Run(folder, read_json(folder / "summary.json"))
    data, engine, loaded = ingredients(config)
    suite = suite_of(config, data, supplies_of(config, data, engine, loaded))
    check_request(suite, (), config.evaluate.allow_seen)
    begin(folder, config)
    write_data(folder, data)
    own = loaded.head is not None and loaded.classes == data.classes
    if not own:
        how = "a linear probe on the training set" if loaded.make_head is None else "model.head"
        say(f"{shown} has no head of its own for these classes; {how} gives it one")
    student = start("probe", loaded, data, config.seed, engine)
    student.to(engine.device)
    rule = rule_of(loaded.rule if own or len(student.heads) > 1 else None)
    method = replace(methods.build("linear_probe", {}), predict=rule)
    reset_peak(engine.device)
    tested = evaluate_into(folder, student, method, config, suite, engine, label)
    peak = peak_bytes(engine.device)
    timed = inference_of(student, method, data, config, engine)
    counts = (0, student.parameter_counts()[1])
    summary = write_summary(
        folder, label, config.seed, counts, Fitted(0, 0.0, 0.0, peak), 0.0, Finished(),
        validation(method, config, suite, data, engine)(student),
        cost=efficiency(engine, 0.0, 0.0, tested, measured=timed),
    )  # fmt: skip
    write_card(read_run(folder), folder / "README.md")
    return Run(folder, summary)
