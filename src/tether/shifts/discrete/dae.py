"""The shift `dae`: discrete adversarial examples, made once for the training set and looked up by id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.errors import RequestError
from tether.files import cache_dir, write_json
from tether.progress import say
from tether.shifts.discrete.adversary import EPS, START, STEP, Ascent, Rising, generate
from tether.shifts.discrete.backends import Backend, check_request, quantiser_of
from tether.shifts.discrete.fit import STEPS
from tether.shifts.discrete.pictures import check_pictures, content_of
from tether.shifts.discrete.quantiser import Quantiser
from tether.shifts.discrete.store import Store
from tether.shifts.draws import Draws
from tether.shifts.maker import Maker
from tether.shifts.on_pixels import on_pixels
from tether.shifts.recipe import Recipe
from tether.shifts.shift import Shift
from tether.shifts.supplies import Supplies

FAMILY = "discrete"
SUMMARY = "discrete adversarial examples: up the initial model's loss, quantised again, kept if it says y"
_EPS_OF_SEVERITY = (1 / 4, 1 / 2, 1.0, 2.0, 4.0)  # 3 is METHODS' default
_RECIPE = 1  # raised when the generator changes, so that older examples in the cache are not found
_AT_ONCE = 32  # samples through the teacher at a time


@dataclass(frozen=True, eq=False)
class DaeSource:
    """Where discrete adversarial examples come from: the store, or the generator.

    Attributes:
        name: of the shift.
        supplies: training set, teacher, device.
        quantiser: makes pictures discrete.
        ascent: at severity 3.
        seed: of the draws.
        teacher: whose loss is climbed: "initial" or a folder.
        rising: the step size along training; None keeps it.
    """

    name: str
    supplies: Supplies
    quantiser: Quantiser
    ascent: Ascent
    seed: int
    teacher: str = "initial"
    rising: Rising | None = None
    _stores: dict[tuple[int, int], Store] = field(default_factory=dict)

    def level(self, step: int) -> int:
        """The stage of the step-size schedule at a training step."""
        return 0 if self.rising is None else self.rising.level(step)

    def at(self, severity: int, level: int = 0) -> Ascent:
        """The perturbation at a severity and a stage of the schedule."""
        factor = _EPS_OF_SEVERITY[severity - 1]
        step = self.ascent.step if self.rising is None else self.rising.size(self.ascent.step, level)
        return replace(self.ascent, eps=self.ascent.eps * factor, step=step * factor)

    def store(self, severity: int, level: int = 0) -> Store:
        """The store of a severity and a stage, filled."""
        at = (severity, level)
        if at not in self._stores:
            train = self.supplies.train
            store = Store(cache_dir() / "dae" / self.key(severity, level), train.ids)
            before = store.whole
            label = f"{self.name}, severity {severity}" + (f", stage {level}" if self.rising else "")
            notes = store.fill(lambda rows: self._made(rows, severity, level), label)
            self._tell(store, at, notes, before)
            self._stores[at] = store
        return self._stores[at]

    def key(self, severity: int, level: int = 0) -> str:
        """Hash of everything the examples depend on."""
        initial = self.teacher == "initial"
        parts = {
            "recipe": _RECIPE,
            "teacher": self.supplies.fingerprint if initial else self.supplies.path_key(self.teacher),
            "pictures": content_of(self.supplies.train),
            "labels": hashlib.sha256(self.supplies.train.labels.astype("<i8").tobytes()).hexdigest(),
            "quantiser": [self.quantiser.name, self.quantiser.key],
            "ascent": asdict(self.at(severity, level)),
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def generated(self, batch: Batch, severity: int, level: int = 0) -> tuple[Tensor, dict[str, float]]:
        """Examples of a batch, made now, and what is noted about them."""
        teacher: Callable[..., Output] = self.supplies.teacher(self.teacher)
        parts, rejected, moved = [], 0, 0.0
        for start in range(0, len(batch), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(batch)))
            part = batch.take(rows).to(self.supplies.device)
            draws = Draws(self.seed).spawn("dae")
            made = generate(part, self.quantiser, teacher, self.at(severity, level), draws)
            parts.append(made.x.to(batch.y.device))
            rejected += int((~made.kept).sum())
            moved += float(made.moved.sum())
        return torch.cat(parts), {"samples": len(batch), "rejected": rejected, "moved": moved}

    def _made(self, rows: Sequence[int], severity: int, level: int) -> tuple[Tensor, dict[str, float]]:
        return self.generated(self.supplies.train.batch(list(rows)), severity, level)

    def _tell(self, store: Store, at: tuple[int, int], notes: dict[str, float], found: bool) -> None:
        severity = at[0]
        samples, rejected = int(notes["samples"]), int(notes["rejected"])
        about = {
            "name": self.name, "severity": severity, "samples": samples, "rejected": rejected,
            "rejection_rate": rejected / samples, "mean_l2_before_quantising": notes["moved"] / samples,
            "quantiser": self.quantiser.name, "eps_at_224": self.at(*at).eps,
            "step_at_224": self.at(*at).step,
        }  # fmt: skip
        if not found:
            write_json(store.folder / "about.json", about)
        say(
            f"{self.name}, severity {severity}: {rejected} of {samples} examples rejected "
            f"({100 * rejected / samples:.1f}%), the plain reconstruction stands in for them; "
            f"{'found' if found else 'kept'} in {store.folder}"
        )


def shift_of(source: DaeSource) -> Shift:
    """The shift over a source: a training sample comes from the store, any other one is made on the spot."""
    ids = source.supplies.train.ids
    order = np.argsort(ids)

    def apply(batch: Batch, severity: int, draws: Draws) -> Batch:
        place = np.searchsorted(ids, batch.ids.cpu().numpy(), sorter=order)
        rows = order[place.clip(max=len(ids) - 1)]
        known = ids[rows] == batch.ids.cpu().numpy()
        level = source.level(draws.step)

        def change(x: Tensor, severity: int, ids: Tensor, draws: Draws) -> Tensor:
            out = torch.empty_like(x)
            if known.any():
                stored = source.store(severity, level).look_up(rows[known].tolist())
                if stored.shape[1:] != x.shape[1:]:
                    raise RequestError(
                        f"{source.name}: expected training pictures of shape {tuple(stored.shape[1:])}, as "
                        f"they were when the examples were made, got {tuple(x.shape[1:])}; keep data.size"
                    )
                out[torch.from_numpy(known).to(x.device)] = stored.to(x.device)
            if not known.all():
                new = replace(batch, x=x).take(np.flatnonzero(~known).tolist())
                out[torch.from_numpy(~known).to(x.device)] = source.generated(new, severity, level)[0].to(
                    x.device
                )
            return out

        return on_pixels(change)(batch, severity, draws)

    return Shift(source.name, FAMILY, "image", SUMMARY, apply, default=False)


def dae(
    backend: Backend = "vq",
    weights: str | None = None,
    steps: int = STEPS,
    eps: float = EPS,
    step_size: float = STEP,
    ascents: int = 1,
    random_start: float = START,
    vq_only: bool = False,
    severities: tuple[int, ...] = (),
    seed: int = 0,
    teacher: str = "initial",
    last_step_size: float | None = None,
    rising_over: int = 0,
) -> Recipe:
    """Discrete adversarial examples of a robust teacher (METHODS 3.2 to 3.5).

    x^ = VQ(x); up to a distance eps around x^ along the teacher's gradient of CE(z(x^), y); VQ again;
    kept if the teacher's top-1 is y, else x^. Made once a severity for the whole training set, when the
    severity is first met or, listed in `severities`, before training. Validation and test samples are made
    on the spot.

    Args:
        backend: the quantiser; with any but "diffusers" the shift is named dae_lite.
        weights: of the quantiser, as for `vq`.
        steps: the quantiser's training.
        eps: L2 radius at severity 3 and 224 px, scaled by the square root of the number of values; the other
            severities have 1/4, 1/2, 2 and 4 times it.
        step_size: of one ascent step, scaled likewise.
        ascents: steps.
        random_start: chance that a sample starts at a random place on the sphere.
        vq_only: the control with eps 0: quantised twice and filtered, but not perturbed.
        severities: to make before training starts.
        seed: of the draws; not the run's, so that the seeds of a comparison share the examples.
        teacher: the robust model: "initial", or the folder of a run or a saved model with these classes.
        last_step_size: the step size rises to this during training, in five stages with a store each; the
            released code has an option from .01 to .2 (METHODS 3.3). null keeps `step_size`.
        rising_over: training steps that the rise takes.

    Raises:
        RequestError: an option out of its range.

    Example:
        >>> dae(vq_only=True).name
        'dae_lite_vq_only'
    """
    check_request("dae", backend, weights, steps)
    for key, value, fine in (
        ("eps", eps, eps > 0), ("step_size", step_size, step_size > 0), ("ascents", ascents, ascents >= 0),
        ("random_start", random_start, 0 <= random_start <= 1),
        ("severities", severities, all(s in range(1, 6) for s in severities)),
        ("last_step_size", last_step_size, last_step_size is None or last_step_size > 0),
        ("rising_over", rising_over, (rising_over > 0) == (last_step_size is not None)),
    ):  # fmt: skip
        if not fine:
            raise RequestError(f"dae.{key}: {value!r} is out of range; {_RANGES[key]}")
    name = ("dae" if backend == "diffusers" else "dae_lite") + ("_vq_only" if vq_only else "")
    ascent = Ascent(0.0, 0.0, 0, 0.0) if vq_only else Ascent(eps, step_size, ascents, random_start)

    def build(supplies: Supplies) -> Shift:
        check_pictures(supplies.train, name)
        quantiser = quantiser_of(backend, weights, steps, supplies, name)
        rising = None if last_step_size is None or vq_only else Rising(last_step_size, rising_over)
        source = DaeSource(name, supplies, quantiser, ascent, seed, teacher, rising)
        for severity in severities:
            source.store(severity)
        return shift_of(source)

    return Recipe(name, FAMILY, "image", SUMMARY, build)


_RANGES = {
    "eps": "it is above 0; for the control without a perturbation say vq_only: true",
    "step_size": "it is above 0",
    "ascents": "it is 0 or more",
    "random_start": "it is a probability, 0 to 1",
    "severities": "they are 1 to 5",
    "last_step_size": "it is above 0, or null",
    "rising_over": "it is above 0 with last_step_size, and 0 without",
}
DAE = Maker("dae", FAMILY, "image", SUMMARY, dae)
