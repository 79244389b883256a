"""What a run starts from: data, model, the student at step 0, the test sets, and what they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from tether import methods
from tether.compose import on_data
from tether.config import Config
from tether.data import DataBundle, load_data
from tether.evaluation.suite import Suite, make_suite
from tether.methods import Method
from tether.models.config import ModelConfig
from tether.models.load import SMALL, Loaded, load_backbone
from tether.models.loaded import picture_side
from tether.models.model import MAIN, Model, Start
from tether.models.start import (
    TEXT_START,
    ProbeData,
    check_text_tower,
    meant,
    probe_start,
    random_start,
    text_start,
)
from tether.progress import say
from tether.shifts import AnyShift, Supplies, modality_in
from tether.supply import (
    all_seen,
    check_views,
)
from tether.training import Engine


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


def start(kind: Start, loaded: Loaded, data: DataBundle, seed: int, engine: Engine) -> Model:
    """The student at step 0."""
    kind = meant(kind, loaded, data.classes)
    if kind == "random":
        return random_start(loaded, data.classes, seed)
    if kind == TEXT_START:
        return text_start(loaded, data.classes)
    return probe_start(
        loaded, data.classes, ProbeData(data.train, data.id_val, data.fingerprint), engine.device
    )


def settled(method: Method, loaded: Loaded, classes: Sequence[str]) -> Method:
    """The method on this model: "auto" becomes the start that it means there."""
    return replace(method, start=meant(method.start, loaded, classes))


def initial_head(
    method: Method, loaded: Loaded, data: DataBundle, config: Config, engine: Engine
) -> nn.Module | None:
    """M_0's head for a student whose own starts at random, where the method asks for one (METHODS 1.2).

    Call it before the tuning.
    """
    if not method.asks_initial_head:
        return None
    return start("probe", loaded, data, config.seed, engine).heads[MAIN]


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
    method = settled(on_data(method, config, data), loaded, data.classes)
    check_views(method, data)
    return method, all_seen(method, data)


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
