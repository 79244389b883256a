"""A teacher trained on the user's data when none is given, kept in the cache and used again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tether import methods
from tether.cached import keep_bound, mark_used
from tether.data import Examples
from tether.errors import RequestError
from tether.files import atomic, cache_dir, disk_errors, read_json, write_json
from tether.finish import Judge, start_state
from tether.methods import Initial, Trained
from tether.models.model import MAIN, Model, Start
from tether.objective import Runner
from tether.progress import say
from tether.teachers.initial import initial_teacher
from tether.training import Engine, TrainConfig, fit, frozen_runner

CONFIDENT = 0.99  # above this mean max-probability KD says little beyond the labels (METHODS 1.3)
ASKED = 512  # training samples the confidence is read from


@dataclass(frozen=True)
class Making:
    """What a trained teacher is made from.

    Attributes:
        fresh: builds the untrained model, given how its head starts ("probe" or "random").
        examples: the training set.
        recipe: how long and how fast; the run's own.
        engine: device and precision.
        seed: the run's seed, so that seeds of a comparison have teachers of their own.
        made_from: fingerprints of model and data, for the cache's key.
        judge: validation scores, for a teacher whose method merges.
        ready: gives a method the run's data: its train shifts, and what its views are built from.
        train_shifts: the data's own, for the key of a teacher that trains on views.
        id_val: the ID validation set, for a teacher that stops early by it and for a reference's score.
        part: (rows of the training set, a name for them) -> the same making on those rows alone; None where
            a training set cannot be taken apart.
        on: the same for a teacher that starts from another model, by its name.
    """

    fresh: Callable[[Start], Model]
    examples: Examples
    recipe: TrainConfig
    engine: Engine
    seed: int
    made_from: Mapping[str, Any]
    judge: Judge
    ready: Callable[[methods.Method], methods.Method] = lambda method: method
    train_shifts: Any = None
    id_val: Examples | None = None
    part: Callable[[Sequence[int], str], Making] | None = None
    on: Callable[[str], Making] | None = None

    def varied(self, source: Trained) -> Making:
        """The same with the source's own seed and learning rate; where the weights start stays."""
        recipe = self.recipe.model_copy(update={"lr_scale": self.recipe.lr_scale * source.lr_scale})
        began = {"began": self.seed} if source.seed else {}
        return replace(
            self, recipe=recipe, seed=self.seed + source.seed, made_from={**self.made_from, **began}
        )


@dataclass(frozen=True)
class Built:
    """A trained model as its tuning left it, and what it cost."""

    model: Model
    seconds: float
    cached: bool
    confidence: float


@dataclass(frozen=True)
class Teacher:
    """A bound teacher, the seconds its training took, and whether it was found in the cache."""

    run: Runner
    seconds: float = 0.0
    cached: bool = False
    confidence: float | None = None


def key(source: Trained, making: Making) -> str:
    """The cache key: everything the weights depend on."""
    parts = {
        "method": source.method,
        "options": methods.options(source.method, source.options),
        "recipe": making.recipe.deciding(),
        "seed": making.seed,
        "precision": making.engine.precision,
        **making.made_from,
    }
    if making.train_shifts is not None and methods.build(source.method, source.options).views:
        parts["shifts"] = making.train_shifts
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def trained_teacher(name: str, source: Trained, making: Making) -> Teacher:
    """Load the teacher from the cache, or train it there first, resuming what was begun.

    Raises:
        RequestError: when the method needs teachers of its own, which would never end.
    """
    label = f"{name} teacher"
    built = trained_model(label, source, making)
    if not built.cached and built.confidence > CONFIDENT:
        say(
            f"note: the {label} is {built.confidence:.3f} sure of its training samples on average, so it "
            "says little beyond the labels; train it for fewer epochs"
        )
    return Teacher(frozen_runner(built.model), built.seconds, built.cached, built.confidence)


def trained_model(label: str, source: Trained, making: Making) -> Built:
    """Load a model that another method trained from the cache, or train it there first.

    Args:
        label: what it is to this run, for bars and messages.

    Raises:
        RequestError: when the method needs trained models of its own, which would never end.
    """
    method = methods.build(source.method, source.options)
    if method.to_train or any(not isinstance(t, Initial) for t in method.teachers.values()):
        raise RequestError(
            f"method.{label.replace(' ', '_')}: {source.method!r} needs a trained teacher itself; choose one "
            "that does not, such as lp_ft or finetune"
        )
    if source.model is not None and making.on is not None:
        making = making.on(source.model)
    init_seed, making = making.seed, making.varied(source)
    fingerprint = key(source, making)
    folder = cache_dir() / "teachers" / f"{source.method}-{fingerprint}"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with making.engine.alone(folder / ".lock"):  # of two runs that need the same teacher one trains it
        return _load(label, source, method, making, folder) or _train(
            label, source, making.ready(method), making, folder, fingerprint, init_seed
        )


def _load(label: str, source: Trained, method: methods.Method, making: Making, folder: Path) -> Built | None:
    if not (folder / "teacher.json").is_file():
        return None
    try:
        state = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError):
        return None  # damaged: train it again
    mark_used(folder)
    about = read_json(folder / "teacher.json")
    model = making.fresh(method.start)
    method.tuning.apply(model)  # adapters, if it has any, are part of the saved state
    model.load_state_dict(state)
    say(f"{label}: {source.method} found in the cache")
    model.to(making.engine.device)
    return Built(model, float(about["train_seconds"]), True, float(about["confidence"]))


def _train(
    label: str,
    source: Trained,
    method: methods.Method,
    making: Making,
    folder: Path,
    fingerprint: str,
    init_seed: int,
) -> Built:
    model = making.fresh(method.start)
    torch.manual_seed(init_seed)
    groups = method.tuning.apply(model)
    model.to(making.engine.device)
    head = making.fresh("probe").heads[MAIN] if method.asks_initial_head else None
    teachers = {name: initial_teacher(model, method.tuning, head) for name in method.teachers}
    origin = start_state(model, head)
    fitted = fit(
        model, method, groups, making.examples, teachers, making.recipe, making.engine, making.seed, folder,
        fingerprint, f"{label} ({source.method})", making.judge,
    )  # fmt: skip
    method.finish.apply(model, origin, making.judge)
    model.eval()
    confidence = mean_confidence(lambda batch, _hidden: model(batch), making.examples, making.engine)
    if making.engine.is_main:
        with atomic(folder / "model.safetensors") as part:
            save_file({k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}, part)
        # Written last: its presence says that the model is whole.
        about = {"method": source.method, "train_seconds": fitted.train_seconds, "confidence": confidence}
        write_json(folder / "teacher.json", about)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # twice the model's size, and done with
        keep_bound()
    return Built(model, fitted.train_seconds, False, confidence)


def mean_confidence(run: Runner, examples: Examples, engine: Engine) -> float:
    """Mean max-probability over the first training samples."""
    total, count = 0.0, min(ASKED, len(examples))
    for start in range(0, count, 64):
        batch = examples.batch(range(start, min(start + 64, count))).to(engine.device)
        with torch.no_grad():
            logits = run(batch, ()).logits["main"].float()
        total += float(torch.softmax(logits, -1).amax(-1).sum())
    return total / count
