"""What a run's shifts are built from: the user's data and the initial model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.config import Config
from tether.data import DataBundle
from tether.errors import RequestError
from tether.methods import Method
from tether.models.load import Loaded, load_backbone
from tether.models.start import ProbeData, probe_start
from tether.shifts import (
    AnyShift,
    Attack,
    Mixture,
    Supplies,
    members_of,
    mixture,
    modality_of,
    prepared_view,
)
from tether.training import Engine, frozen_runner


def supplies_of(config: Config, data: DataBundle, engine: Engine, loaded: Loaded) -> Supplies:
    """Data and models for the shifts of a run; a model is loaded when one first asks."""

    @cache
    def backbone() -> Loaded:  # of its own: the student's weights change
        return load_backbone(config.model)

    def embed(batch: Batch) -> Tensor:
        network = backbone().backbone
        network.to(engine.device)
        with torch.no_grad():
            return network.encode(batch.to(engine.device)).features.float().cpu()

    @cache
    def teacher(name: str) -> Callable[..., Output]:
        if name != "initial":
            raise RequestError(f"shift: expected the teacher 'initial', got {name!r}; use it")
        probe = ProbeData(data.train, data.id_val, data.fingerprint)
        return frozen_runner(probe_start(backbone(), data.classes, probe, engine.device).to(engine.device))

    return Supplies(
        train=data.train,
        held_out={name: examples for name, examples in data.sets().items() if name != "train"},
        classes=data.classes,
        fingerprint=f"{loaded.fingerprint}-{data.fingerprint}",
        embed=embed,
        teacher=teacher,
        device=engine.device,
        seed=config.seed,
        groups=data.groups,
        model_fingerprint=loaded.fingerprint,
    )


def with_data_shifts(method: Method, data: DataBundle) -> Method:
    """The method with the data's own train shifts where it names none."""
    if data.train_shifts is None:
        return method
    own = data.train_shifts
    views = {
        name: mixture(own, view.severities, stream=view.stream)
        if isinstance(view, Mixture) and view.shifts is None
        else view
        for name, view in method.views.items()
    }
    return replace(method, views=views)


def seen_in_training(method: Method, data: DataBundle) -> tuple[AnyShift, ...]:
    """The shifts that the method's views are made with; a score on one of them proves less.

    Raises:
        RequestError: an attack asks a teacher that the method has not.
    """
    modality = modality_of(data.train.batch([0]))
    found = {s.name: s for view in method.views.values() for s in members_of(view, modality)}
    for shift in found.values():
        missing = set(shift.teachers) - set(method.teachers) if isinstance(shift, Attack) else set()
        if missing:
            raise RequestError(
                f"method.shifts: {shift.name} asks the teacher {', '.join(sorted(missing))}, which this "
                "method does not have; use it in a method with that teacher, such as rdft"
            )
    return tuple(found.values())


def supplied(method: Method, supplies: Supplies) -> Method:
    """The method with its views' shifts built."""
    views = {name: prepared_view(view, supplies) for name, view in method.views.items()}
    return replace(method, views=views)
