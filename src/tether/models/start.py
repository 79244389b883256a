"""M_0: a pretrained backbone with the head it starts from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tether.data import Examples
from tether.data.once import once
from tether.errors import RequestError
from tether.files import cache_dir
from tether.models.backbone import Backbone
from tether.models.extras import assemble
from tether.models.heads import LinearHead, random_head
from tether.models.loaded import Loaded
from tether.models.model import MAIN, Model, Start
from tether.models.probe import Floats, fit_probe
from tether.progress import bar

TEXT_START = "zero_shot"  # a start made of class names
PROBE_VERSION = 1  # raise when the recipe of the probe changes, so that cached ones are not used


@dataclass(frozen=True)
class ProbeData:
    """What a linear probe is fitted and chosen on, with the data's fingerprint for the cache."""

    train: Examples
    id_val: Examples
    fingerprint: str


def random_start(loaded: Loaded, classes: Sequence[str], seed: int) -> Model:
    """The backbone under a random head (METHODS 6, `ft`)."""
    head = random_head(loaded.backbone.width, len(classes), seed, loaded.bias)
    return Model(loaded.backbone, {MAIN: head}, classes)


def brings_head(loaded: Loaded, classes: Sequence[str]) -> bool:
    """Whether the model has a head for these classes untrained: its own, or one made of their names."""
    own = loaded.head is not None and loaded.classes == tuple(classes)
    return own or loaded.make_head is not None


def meant(start: Start, loaded: Loaded, classes: Sequence[str]) -> Start:
    """The start that a method's word means on this model: "auto" keeps a head that it brings, else random.

    "probe" is the road by which such a head is taken (`probe_start`).
    """
    if start != "auto":
        return start
    return "probe" if brings_head(loaded, classes) else "random"


def probe_start(loaded: Loaded, classes: Sequence[str], data: ProbeData, device: torch.device) -> Model:
    """The backbone under the head it starts from (METHODS 1.2).

    Its own if that has the task's classes; else one made from the class names, where the model can
    (zero-shot, map); else a linear probe.
    """
    if loaded.head is not None and loaded.classes == tuple(classes):
        return assemble(loaded.backbone, loaded.head, tuple(classes), loaded.extras)
    if loaded.make_head is not None:
        make = partial(loaded.make_head, classes)
        # New prompts go through every head section that the model has (METHODS 4.5).
        extras = None if loaded.extras is None else loaded.extras.over(make)
        return assemble(loaded.backbone, make(), tuple(classes), extras)
    return Model(loaded.backbone, {MAIN: cached_probe(loaded, len(classes), data, device)}, classes)


def check_text_tower(loaded: Loaded) -> None:
    """Refuse a model that cannot make a head from class names alone.

    Raises:
        RequestError: it reads no class names, or `model.head` is not zero-shot.
    """
    able = loaded.by_name is not None or hasattr(loaded.backbone, "zero_shot")
    if not able:
        raise RequestError(
            "method: a zero-shot head needs a model with a text tower, such as CLIP, or a sentence encoder; "
            f"{loaded.source} is neither. Use another model (emoji-two-tower is a small one), or linear_probe"
        )
    if loaded.make_head is None and loaded.by_name is None:
        raise RequestError(
            "method: a zero-shot head needs model.head to be auto or zero_shot; leave model.head out"
        )


def text_start(loaded: Loaded, classes: Sequence[str]) -> Model:
    """The backbone under the head made of the class names (METHODS 1.2, `zs`).

    Raises:
        RequestError: as `check_text_tower` does.
    """
    check_text_tower(loaded)
    make = loaded.make_head or loaded.by_name
    assert make is not None
    return Model(loaded.backbone, {MAIN: make(classes)}, classes)


def cached_probe(loaded: Loaded, classes: int, data: ProbeData, device: torch.device) -> LinearHead:
    """The probe from the cache, or fitted now; keyed by weights, data and recipe."""
    parts = [loaded.fingerprint, type(loaded.backbone).__name__, data.fingerprint, classes, PROBE_VERSION]
    name = sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def build(part: Path) -> None:
        backbone = loaded.backbone
        backbone.to(device)
        with bar("linear probe: features", len(data.train) + len(data.id_val)) as progress:
            train = _features(backbone, data.train, device, progress.advance)
            val = _features(backbone, data.id_val, device, progress.advance)
        with bar("linear probe: fit", 1) as progress:
            probe = fit_probe(
                train, data.train.labels, val, data.id_val.labels, classes, intercept=loaded.bias
            )
            progress.advance()
        about = {"strength": probe.strength, "temperature": probe.temperature, "nll": probe.nll}
        save_file(probe.head.state_dict(), part, metadata={"tether": json.dumps(about)})

    state = load_file(once(cache_dir() / "probes" / f"{name}.safetensors", build))
    head = LinearHead(state["weight"].shape[1], state["weight"].shape[0], loaded.bias)
    head.load_state_dict(state)
    return head


def _features(
    backbone: Backbone, examples: Examples, device: torch.device, done: Callable[[float], None]
) -> Floats:
    parts = []
    for start in range(0, len(examples), 64):
        rows = range(start, min(start + 64, len(examples)))
        with torch.no_grad():
            parts.append(backbone.encode(examples.batch(rows).to(device)).features.double().cpu().numpy())
        done(len(rows))
    return np.concatenate(parts)
