"""What a method trains, who teaches it, and its cost in forwards, read off a small network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from tether import methods
from tether.batch import Batch
from tether.errors import RequestError
from tether.finish import trained_state
from tether.methods import Initial, Method, Saved, Trained
from tether.models.backbone import tapped
from tether.models.heads import random_head
from tether.models.model import MAIN, Model
from tether.models.wrap import wrap
from tether.objective import Runner, StepForwards, evaluate_terms
from tether.objective.plan import STUDENT, Plan
from tether.progress import silenced
from tether.shifts import Attack, Draws, Mixture
from tether.teachers.initial import initial_teacher
from tether.training import frozen_runner
from tether.tune import Groups

BLOCKS, WIDTH, SAMPLES = 12, 16, 16
REFERENCE = "finetune"  # what costs are relative to
TEACHER = "teacher"  # what a plan calls one, before its name


@dataclass(frozen=True)
class Cost:
    """What one step takes, in forwards of the model on one batch (F).

    Attributes:
        trains: a phrase such as "adapters and head".
        teachers: a phrase such as "initial, task (lp_ft)"; empty without.
        step: F of one step: forwards, activation gradients and weight gradients; nothing is cached.
        before: F a step of the trainings that come first: teachers and a soup's ingredients. One that starts
            from another model counts as if it were of this one's size.
    """

    trains: str
    teachers: str
    step: float
    before: float

    @property
    def total(self) -> float:
        """F a step of all that is trained, what comes first included."""
        return self.step + self.before

    def relative(self) -> tuple[float, float]:
        """`step` and `before` over a step of plain fine-tuning."""
        unit = _cost_of(methods.build(REFERENCE, {})).step
        return self.step / unit, self.before / unit


def cost(name: str, options: Mapping[str, Any] | None = None) -> Cost:
    """Count a method's forwards by running its terms once on twelve equal blocks.

    A forward is 1 F. Gradients of activations are 1 F more times the share of blocks from the first trained
    one up, gradients of weights 1 F times the share of the backbone's own weights that train: LoRA makes
    2 F and full fine-tuning 3 F of each view. Teachers make forwards only. An attack's own passes are
    counted by making one. A view of a fraction of the samples counts so much; what `train.cache_mb` saves is
    not taken off.

    Raises:
        RequestError: the method cannot run on a plain picture network, such as one that needs a text tower.

    Example:
        >>> cost("lora").step, cost("finetune").step
        (2.0, 3.0)
    """
    return _cost_of(methods.build(name, options or {}))


def _cost_of(method: Method) -> Cost:
    with silenced():
        model = _network()
        own = dict(model.backbone.network.named_parameters())
        groups = method.tuning.apply(model)
        before = sum(_cost_of(methods.build(s.method, s.options)).step * s.times for s in method.to_train)
        step = _step(method, model, list(own.values())) if groups else 0.0
    return Cost(_trains(method, groups, list(own.values())), _teachers(method), step, before)


def teachers_asked(method: Method) -> dict[str, frozenset[str]]:
    """Which teachers each term with a weight asks, by running it once on the small network.

    A term that cannot run there (it needs a text tower, or constants of the user's data) counts as asking
    all of them.

    Example:
        >>> sorted(teachers_asked(methods.build("hybrid_kd", {}))["robust"])
        ['initial']
    """
    everyone = frozenset(method.teachers)
    active = [term for term in method.terms if term.weight != 0]
    with silenced():
        model = _network()
        try:
            method.tuning.apply(model)
        except RequestError:
            return dict.fromkeys((term.name for term in active), everyone)
        teachers = _stand_ins(method, model)
        found = {}
        for term in active:
            forwards = _forwards(method, model, teachers, _batch())
            try:
                with torch.no_grad():
                    term.loss(forwards)
            except Exception:  # whatever stops it there: it is then not known what it asks
                found[term.name] = everyone
                continue
            who = forwards.traced.asked
            found[term.name] = frozenset(n.removeprefix(f"{TEACHER}:") for n in who if n != STUDENT)
    return found


def _stand_ins(method: Method, model: Model) -> dict[str, Runner]:
    return {
        name: initial_teacher(model, method.tuning) if isinstance(source, Initial) else _other()
        for name, source in method.teachers.items()
    }


def _forwards(method: Method, model: Model, teachers: Mapping[str, Runner], batch: Batch) -> StepForwards:
    plain = {name: lambda b, *_: b for name in method.views}
    return StepForwards(
        batch,
        plain,
        model,
        teachers,
        Draws(0),
        tapped(model.backbone, method.layers),
        model=model,
        start=trained_state(model),
    )


def _step(method: Method, model: Model, own: list[nn.Parameter]) -> float:
    teachers = _stand_ins(method, model)
    batch = _batch()
    forwards = _forwards(method, model, teachers, batch)
    with torch.no_grad():
        evaluate_terms(method.terms, forwards)
    used = {view for views in forwards.traced.asked.values() for view in views}
    made = [v for name, v in method.views.items() if name in used and _asks_models(v)]
    return _passes(forwards.traced, method, model, own) + sum(
        _made(view, model, teachers, batch) for view in made
    )


def _passes(plan: Plan, method: Method, model: Model, own: list[nn.Parameter]) -> float:
    """F of the terms' forwards and of the student's gradients."""
    blocks = model.backbone.blocks()
    tuned = [any(p.requires_grad for p in block.parameters()) for block in blocks]
    inside = {id(p) for block in blocks for p in block.parameters()}
    below = any(p.requires_grad and id(p) not in inside for p in own) and all(tuned)
    share = 1.0 if below else 1.0 - tuned.index(True) / len(tuned) if any(tuned) else 0.0
    weights = sum(p.numel() for p in own if p.requires_grad) / sum(p.numel() for p in own)
    part = {name: getattr(view, "fraction", 1.0) for name, view in method.views.items()}
    students = sum(part.get(view, 1.0) for view in plan.asked.get(STUDENT, {}))
    taught = sum(part.get(view, 1.0) for who, views in plan.asked.items() if who != STUDENT for view in views)
    return students * (1.0 + share + weights) + taught


def _asks_models(view: Any) -> bool:
    """Whether making the view runs a model; a mixture without an attack does not."""
    return not isinstance(view, Mixture) or any(isinstance(s, Attack) for s in view.shifts or ())


def _made(view: Any, model: Model, teachers: Mapping[str, Runner], batch: Batch) -> float:
    """F of making one such view: each pass with a gradient counts twice."""
    rows = 0.0

    def count(_module: nn.Module, inputs: tuple[Tensor, ...], _output: object) -> None:
        nonlocal rows
        rows += len(inputs[0]) * (2.0 if torch.is_grad_enabled() else 1.0)

    handle = model.backbone.network.register_forward_hook(count)
    try:
        view(batch, model, teachers, Draws(0))
    finally:
        handle.remove()
    return rows / len(batch)


def _trains(method: Method, groups: Groups, own: list[nn.Parameter]) -> str:
    if not groups:
        return "nothing"
    if all(p.requires_grad for p in own):
        said = "everything"
    else:
        names = {"backbone": "upper blocks", "adapter": "adapters"}
        said = " and ".join(names.get(name, name) for name in groups)
    return f"{said}, random head" if method.start == "random" else said


def _teachers(method: Method) -> str:
    said = []
    for name, source in method.teachers.items():
        if isinstance(source, Trained):
            on = "" if source.model is None else f" on {source.model}"
            said.append(f"{name} ({source.method}{on})")
        else:
            said.append(f"{name} ({source.path})" if isinstance(source, Saved) else name)
    if method.ingredients:
        said.append(f"{len(method.ingredients)} ingredients")
    return ", ".join(said)


class _Blocks(nn.Module):
    """A picture as sixteen tokens through equal residual blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, WIDTH)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.stem(nn.functional.adaptive_avg_pool2d(x, 4).flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return tokens.mean(1)


def _network() -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _Blocks()
    backbone = wrap(network, width=WIDTH, blocks=list(network.blocks))
    return Model(backbone, {MAIN: random_head(WIDTH, 2, 0)}, ("a", "b"))


@cache
def _other() -> Runner:
    return frozen_runner(_network())


def _batch() -> Batch:
    ids = torch.arange(SAMPLES)
    pixels = torch.rand(SAMPLES, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Batch(pixels, ids % 2, ids)
