"""Whether a config's method can run on its model and data, asked before anything is spent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NoReturn

import torch

from tether.compose import method_of
from tether.config import Config, parse
from tether.data import DataBundle
from tether.errors import RequestError
from tether.evaluation.suite import Suite, check_families, check_tests
from tether.methods import Method
from tether.models.load import Loaded
from tether.scene import check_method, ingredients, suite_of
from tether.shifts import Supplies
from tether.supply import supplies_of


@dataclass(frozen=True)
class _Scene:
    """What the methods of a comparison have in common."""

    data: DataBundle
    loaded: Loaded
    supplies: Supplies
    suite: Suite


def can_run(config: Config) -> str | None:
    """Why the method of `config` cannot run on its model and data; None when it can.

    The checks are those that `tether.train` makes before its run's folder appears. Data and model are loaded
    once for all configs that share them; `forget` lets them go. Parts that cost more than a forward of one
    sample, such as anchors, are not made.

    Raises:
        RequestError: what would refuse every method: the data, the model, the stress tests.

    Example:
        >>> can_run(load_config("digits", ["method=flyp"]))  # doctest: +SKIP
        'method: training both towers needs a model with an image tower and a text tower, ...'
    """
    scene = _scene(shared(config))
    try:
        method, seen = check_method(method_of(config), config, scene.data, scene.loaded)
        check_families(scene.suite, seen, config.evaluate.allow_seen)
        _check_terms(method, scene.supplies)
    except RequestError as e:
        return str(e)
    return None


def training_samples(config: Config) -> int:
    """How many samples one epoch of this config has."""
    return len(_scene(shared(config)).data.train)


def forget() -> None:
    """Let go of the data and the model that `can_run` holds."""
    _scene.cache_clear()


def shared(config: Config) -> str:
    """The parts of a config that `can_run` loads things for, as a key: those that share it load them once."""
    raw = config.flat()
    train = {"precision": config.train.precision}
    return json.dumps({**{k: raw[k] for k in ("model", "data", "evaluate")}, "train": train}, sort_keys=True)


@lru_cache(maxsize=1)
def _scene(asked: str) -> _Scene:
    config = parse(json.loads(asked))
    data, engine, loaded = ingredients(config)
    with torch.no_grad():  # a model for texts refuses pictures here
        loaded.backbone.to(engine.device)
        loaded.backbone.encode(data.train.batch([0]).to(engine.device))
    supplies = supplies_of(config, data, engine, loaded)
    suite = suite_of(config, data, supplies)
    check_tests(suite)
    return _Scene(data, loaded, supplies, suite)


class _Costly(Exception):  # noqa: N818 (no fault: the term has got past its refusals)
    """A term asked for a model's outputs."""


def _check_terms(method: Method, supplies: Supplies) -> None:
    """Let the terms that are made of data and model refuse, and stop them where they begin to compute."""

    def stop(_asked: object) -> NoReturn:
        raise _Costly

    for term in method.terms:
        try:
            term.prepared(replace(supplies, embed=stop, teacher=stop))
        except _Costly:
            continue
