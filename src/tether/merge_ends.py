"""What a merge needs of a finished run: a judge, test sets, and both ends of its line (METHODS 1.11)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tether.compose import method_of, on_data
from tether.config import Config
from tether.data import DataBundle
from tether.errors import RequestError
from tether.evaluation.headline import SetKey, headline_kind, id_weights, kind_weights
from tether.evaluation.predict import predict_set
from tether.evaluation.suite import Suite
from tether.files import read_json
from tether.finish import Judge
from tether.folder import written_config
from tether.inference import load
from tether.methods import Method
from tether.models.load import Loaded
from tether.models.model import Model
from tether.models.save import save_model
from tether.prediction import Predict
from tether.scene import ingredients, start, suite_of
from tether.steering import settle, validation
from tether.supply import supplied, supplies_of
from tether.training import Engine

State = dict[str, Tensor]


@dataclass(frozen=True)
class Bench:
    """What the models are judged with: everything of the run that trained, but for training."""

    config: Config
    method: Method
    data: DataBundle
    engine: Engine
    loaded: Loaded
    suite: Suite

    def judge(self) -> Judge:
        """Scores a model on the run's validation sets."""
        return validation(self.method, self.config, self.suite, self.data, self.engine)


def finished(folder: Path) -> Config:
    """The config of a finished run.

    Raises:
        RequestError: no run, or an unfinished one.
    """
    config = written_config(folder)
    if not (folder / "summary.json").is_file() or not (folder / "model").is_dir():
        raise RequestError(
            f"merge: {folder} is not finished; run `tether train {folder / 'config.yaml'}` first"
        )
    return config


def check_line(folder: Path) -> None:
    """Refuse a run whose start and result no straight line of models joins, before a weight is read."""
    method = method_of(finished(folder))
    # Adapters start at 0, so M_0 under its own head is the other end of their line; weights that trained
    # freely under a random head have left for elsewhere.
    if method.start == "random" and not (method.finish.interpolates or method.tuning.shares_base):
        raise RequestError(
            f"merge: {folder} started from a random head, so there is no initial model to merge with "
            "(METHODS 1.11); merge a run that starts from the probe, such as lp_ft, lora or rdft"
        )
    if method.tuning.curved is not None:
        raise RequestError(
            f"merge: the weights of {method.tuning.name} cannot be interpolated: {method.tuning.curved}; "
            "merge a run that trains everything or plain LoRA"
        )
    if not method.terms:
        raise RequestError(f"merge: {folder} trained nothing, so its start and its result are one")
    if read_json(folder / "summary.json").get("mu") == 0:
        raise RequestError(
            f"merge: {folder} was merged at mu = 0, so that nothing of its training is left in its model; "
            "train it again with method.mu=null"
        )


def bench_of(folder: Path) -> Bench:
    """Data, model and sets of a finished run, as its training had them."""
    config = finished(folder)
    data, engine, loaded = ingredients(config)
    supplies = supplies_of(config, data, engine, loaded)
    method = supplied(on_data(method_of(config), config, data), supplies)
    return Bench(config, method, data, engine, loaded, suite_of(config, data, supplies))


def ends(bench: Bench, folder: Path) -> tuple[State, State]:
    """Parameters at mu = 0 and mu = 1, by the names that the saved model has.

    The start is rebuilt, saved and loaded as the run's model was, so that both are the same modules.
    """
    # A method that merges goes back to M_0, whose head is the probe where the student's started at random.
    kind = "probe" if bench.method.start in ("random", "auto") else bench.method.start
    rebuilt = start(kind, bench.loaded, bench.data, bench.config.seed, bench.engine)
    with tempfile.TemporaryDirectory() as part:
        save_model(rebuilt.to("cpu"), Path(part) / "model")
        began = load(Path(part) / "model")
    ended = load(folder)
    _check_same(began, ended, folder)
    first = {n: p.detach() for n, p in began.named_parameters()}
    last = {n: p.detach() for n, p in ended.named_parameters()}
    own = read_json(folder / "summary.json").get("mu")
    if own is not None and own < 1:
        last = {n: first[n] + (value - first[n]) / own for n, value in last.items()}
    device = bench.engine.device
    return {n: v.to(device) for n, v in first.items()}, {n: v.to(device) for n, v in last.items()}


def _check_same(began: Model, ended: Model, folder: Path) -> None:
    shapes = [{n: tuple(p.shape) for n, p in m.named_parameters()} for m in (began, ended)]
    if shapes[0] != shapes[1]:
        odd = sorted(n for n in {**shapes[0], **shapes[1]} if shapes[0].get(n) != shapes[1].get(n))
        raise RequestError(
            f"merge: the model of {folder} has parts that its start has not ({', '.join(odd[:3])}), so no "
            "line joins them; merge a run whose method adds no heads of its own"
        )
    if began.classes != ended.classes:
        raise RequestError(f"merge: {folder} has other classes than its data: {list(ended.classes)[:6]}")
    buffers = dict(ended.named_buffers())
    for name, value in began.named_buffers():
        if value.is_floating_point() and not torch.allclose(value, buffers[name], equal_nan=True):
            raise RequestError(
                f"merge: {name} changed in training, and such statistics lie on no line; train with frozen "
                "batch-norm statistics, as tether's methods do"
            )


def tested(model: Model, bench: Bench) -> tuple[float, float | None]:
    """ID test accuracy, and the mean over the headline OOD sets."""
    rule = settled(bench, model)
    sets = bench.suite.tests
    keys = [SetKey(s.name, s.kind, s.severity) for s in sets]
    kind = headline_kind(keys)
    wanted = [w > 0 or k.kind == kind for w, k in zip(id_weights(keys), keys, strict=True)]
    hits = np.zeros(len(sets))
    for i, evalset in enumerate(sets):
        if wanted[i]:
            p = predict_set(model, rule, evalset, bench.engine, bench.config.evaluate.batch_size)
            hits[i] = float((p.argmax(1) == evalset.examples.labels).mean())
    shifted = float(kind_weights(keys, kind) @ hits)
    return float(id_weights(keys) @ hits), None if np.isnan(shifted) else shifted


def settled(bench: Bench, model: Model) -> Predict:
    """The run's rule of prediction, with what it learns of this model."""
    return settle(bench.method, model, bench.data, bench.config, bench.engine)
