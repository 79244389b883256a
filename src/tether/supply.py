"""What a run's shifts are built from: the user's data and the initial model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from tether import methods
from tether.batch import Batch, Output
from tether.config import Config
from tether.data import DataBundle, Examples
from tether.errors import RequestError
from tether.methods import Initial, Method
from tether.models.config import ModelConfig
from tether.models.load import Loaded, load_backbone
from tether.models.masked_lm import word_head
from tether.models.start import ProbeData, probe_start
from tether.progress import say
from tether.shifts import (
    AnyShift,
    Attack,
    Mixture,
    Supplies,
    View,
    members_of,
    mixture,
    modality_in,
    prepared_view,
    wrong_modality,
)
from tether.teachers.saved import saved_teacher
from tether.training import Engine, frozen_runner

BUDGET_SAMPLES = 200  # of ID validation, for the look at an attack's budget


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
        if "/" in name:
            return saved_teacher("shift's", name, data.classes, engine).run
        if name != "initial":
            raise RequestError(
                f"shift: expected the teacher 'initial' or the folder of a model, got {name!r}; a folder "
                "has a slash in it, such as ./model"
            )
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
        word_head=lambda: word_head(backbone(), config.model).to(engine.device),
        path_key=lambda path: load_backbone(ModelConfig(name=path)).fingerprint,
    )


def with_data_shifts(method: Method, data: DataBundle) -> Method:
    """The method with the data's own train shifts where it names none, else with those usual for it."""
    modality = modality_in(data.train)

    def settled(view: View) -> View:
        if not isinstance(view, Mixture) or view.shifts is not None:
            return view
        own = data.train_shifts if data.train_shifts is not None else view.usual.get(modality)
        if own is None:
            return view
        made = mixture(own, view.severities, stream=view.stream, fraction=view.fraction)
        return replace(made, after=view.after)

    return replace(method, views={name: settled(view) for name, view in method.views.items()})


def check_views(method: Method, data: DataBundle) -> None:
    """Refuse a view none of whose shifts is made for such samples; training would, but after its teachers'.

    Raises:
        RequestError: naming the shift and the kinds of samples.
    """
    modality = modality_in(data.train)
    for view in method.views.values():
        for shift in members_of(view, modality):
            if shift.modality not in (None, modality):
                raise wrong_modality(shift.name, shift.modality, modality)


def seen_in_training(method: Method, data: DataBundle) -> tuple[AnyShift, ...]:
    """The shifts that the method's views are made with; a score on one of them proves less.

    Raises:
        RequestError: an attack asks a teacher that the method has not, or one that cannot follow it.
    """
    modality = modality_in(data.train)
    found = {s.name: s for view in method.views.values() for s in members_of(view, modality)}
    for shift in found.values():
        if isinstance(shift, Attack):
            _check_teachers(shift, method)
    return tuple(found.values())


def all_seen(method: Method, data: DataBundle) -> tuple[AnyShift, ...]:
    """`seen_in_training` of the method and of those it trains first: what a teacher saw, it passes on.

    Raises:
        RequestError: as `seen_in_training` does.
    """
    first = [with_data_shifts(methods.build(s.method, s.options), data) for s in method.to_train]
    found = {s.name: s for each in (method, *first) for s in seen_in_training(each, data)}
    return tuple(found.values())


def _check_teachers(attack: Attack, method: Method) -> None:
    """Refuse an attack whose teachers the method has not, or that cannot follow it."""
    if missing := set(attack.teachers) - set(method.teachers):
        raise RequestError(
            f"method.shifts: {attack.name} asks the teacher {', '.join(sorted(missing))}, which this "
            "method does not have; use it in a method with that teacher, such as rdft"
        )
    initial = any(isinstance(source, Initial) for source in method.teachers.values())
    together = method.tuning.shares_base or method.tuning.keeps_embeddings
    if attack.space == "embedding" and initial and not together:
        raise RequestError(
            f"method.shifts: {attack.name} works on token embeddings that the student and its initial "
            "teacher must share, but this method trains the student's; use one that trains adapters, "
            "such as rdft, or adv_substitution with mode anchor or self"
        )


def supplied(method: Method, supplies: Supplies) -> Method:
    """The method with its views' shifts built, and its terms' constants computed."""
    views = {name: prepared_view(view, supplies) for name, view in method.views.items()}
    return replace(method, views=views, terms=tuple(term.prepared(supplies) for term in method.terms))


def ready(method: Method, data: DataBundle, supplies: Supplies) -> Method:
    """The method as it can train: with the data's shifts, everything built."""
    return supplied(with_data_shifts(method, data), supplies)


def check_budgets(
    method: Method, run: Callable[..., Output], examples: Examples, device: torch.device
) -> None:
    """Warn where an attack's largest budget breaks the initial model by size alone (METHODS 1.8).

    Args:
        method: its mixtures' attacks are looked at.
        run: the initial teacher.
        examples: ID validation.
        device: of the models.
    """
    rows = range(min(len(examples), BUDGET_SAMPLES))
    modality = modality_in(examples)
    for view in method.views.values():
        mixed = view if isinstance(view, Mixture) else None
        worst = max(mixed.severities) if mixed else 0
        for shift in mixed.among(modality) if mixed else ():
            if isinstance(shift, Attack) and shift.sanity is not None and worst > 0:
                warning = shift.sanity(run, examples.batch(rows).to(device), worst)
                if warning is not None:
                    say(warning)
