"""What a trained teacher of a run is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tether import methods
from tether.config import Config
from tether.data import DataBundle
from tether.evaluation.predict import make_judge
from tether.evaluation.suite import Suite
from tether.models.load import Loaded, load_backbone
from tether.scene import on_model, settled, start
from tether.shifts import Supplies
from tether.supply import (
    ready,
    supplies_of,
)
from tether.teachers import Making
from tether.training import Engine


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
        ready=lambda method: ready(settled(method, loaded, data.classes), data, supplies),
        train_shifts=data.train_shifts,
        id_val=data.id_val,
        part=part,
        on=on,
    )
