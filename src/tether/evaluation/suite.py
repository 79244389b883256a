"""Which sets a model is tested on, and which ones may steer choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tether import shifts
from tether.batch import Batch
from tether.data import DataBundle, Examples
from tether.errors import RequestError
from tether.evaluation.groups import NO_NAMES, Names
from tether.evaluation.headline import ADVERSARIAL, SYNTHETIC, SetKey
from tether.shifts import AnyShift, Attack, Draws, Ready, Supplies

# Test sets are the same for every method, training seed and machine.
EVALUATION_SEED = 0
VALIDATION_SEED = 1  # validation shifts never draw what a test set draws
VALIDATION_SEVERITY = 3
VALIDATION_LIMIT = 400  # samples of a validation set, so that a sweep over mu stays a matter of seconds


@dataclass(frozen=True)
class EvalSet:
    """One set of samples, perhaps under a synthetic shift.

    Attributes:
        name: "id_test", a domain's name, or a shift's name.
        kind: "id", "natural", "synthetic" or "adversarial".
        severity: 0 where nothing is applied.
        examples: the samples.
        shift: applied to each batch, or None.
        seed: of the shift's draws.
        answer: what each of the model's classes counts as in a set with fewer classes (ImageNet-R and
            its like), (C,) int64, -1 for nothing; None where all count as themselves.
    """

    name: str
    kind: str
    severity: int
    examples: Examples
    shift: Ready | None = None
    seed: int = EVALUATION_SEED
    answer: NDArray[np.int64] | None = None

    @property
    def key(self) -> SetKey:
        """Name, kind and severity."""
        return SetKey(self.name, self.kind, self.severity)

    @property
    def asks_model(self) -> bool:
        """Whether the samples depend on the model that is tested."""
        return isinstance(self.shift, Attack)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The rows in the order they are run: the longest texts first, so that a batch is hardly padded."""
        sizes = self.examples.sizes()
        return np.arange(len(self.examples)) if sizes is None else np.argsort(-sizes, kind="stable")

    def batch(self, rows: Sequence[int], model: Any = None) -> Batch:
        """These samples, shifted; an attack needs the model that it is made against."""
        batch = self.examples.batch(rows)
        if self.shift is None:
            return batch
        if model is not None and self.asks_model:
            batch = batch.to(next(model.parameters()).device)
        return self.shift.at(self.severity)(batch, model, {}, Draws(self.seed))


@dataclass(frozen=True)
class Suite:
    """What a run is tested on, once, what may steer its choices, and what labels and group codes mean."""

    tests: tuple[EvalSet, ...]
    validation: tuple[EvalSet, ...]
    names: Names = NO_NAMES

    def seen(self, trained: Sequence[AnyShift]) -> frozenset[str]:
        """Names of the tested sets whose shift has a family that training saw, and of what it saw."""
        families = {s.family for s in trained}
        tested = {name for name, shift in _shifts_under(self.tests).items() if shift.family in families}
        return frozenset(tested | {s.name for s in trained})


def _shifts_under(sets: Sequence[EvalSet]) -> dict[str, AnyShift]:
    """Set name -> its shift, also where the set was stored under a shift we know by name."""
    known = {s.name: s for s in shifts.all_shifts()}
    stored = {s.name: known[s.name] for s in sets if s.kind == SYNTHETIC and s.name in known}
    return {**stored, **{s.name: s.shift for s in sets if s.shift is not None}}


def first(examples: Examples, limit: int | None) -> Examples:
    """An evenly spread part of a set: every k-th row, so that sorted files keep their classes."""
    if limit is None or len(examples) <= limit:
        return examples
    return examples.subset([i * len(examples) // limit for i in range(limit)])


def shifts_of(
    bundle: DataBundle, role: Literal["val", "test"], chosen: Sequence[Any] | None, supplies: Supplies
) -> tuple[Ready, ...]:
    """The synthetic shifts of a role: as asked, else the data's own, else the defaults for such samples."""
    if chosen is None:
        chosen = bundle.val_shifts if role == "val" else bundle.test_shifts
    if chosen is None:
        chosen = shifts.default_names(role, shifts.modality_in(bundle.id_test))
    return tuple(s.prepared(supplies) for s in shifts.resolve(chosen))


def make_suite(
    bundle: DataBundle,
    names: Sequence[Any] | None,
    severities: Sequence[int],
    limit: int | None,
    supplies: Supplies,
) -> Suite:
    """Test and validation sets, with their shifts built."""
    return Suite(
        tuple(test_sets(bundle, names, severities, limit, supplies)),
        tuple(validation_sets(bundle, supplies)),
        Names(bundle.classes, bundle.groups, bundle.members),
    )


def test_sets(
    bundle: DataBundle,
    names: Sequence[Any] | None,
    severities: Sequence[int],
    limit: int | None,
    supplies: Supplies,
) -> list[EvalSet]:
    """ID test, every natural OOD test domain, and ID test under each synthetic shift and severity."""
    asked = bundle.answers.get
    sets = [EvalSet("id_test", "id", 0, bundle.id_test, answer=asked("id_test"))]
    for domain, examples in bundle.ood_test.items():
        sets.append(EvalSet(domain, "natural", 0, examples, answer=asked(f"ood_test/{domain}")))
    for (name, severity), examples in bundle.stress.items():  # stored corruptions, such as ImageNet-C's
        answer = asked(f"stress/{name}/{severity}")
        sets.append(EvalSet(name, SYNTHETIC, severity, examples, answer=answer))
    stored = {name for name, _ in bundle.stress}
    base = first(bundle.id_test, limit)
    for shift in shifts_of(bundle, "test", names, supplies):
        if shift.name in stored:  # the published pictures of a corruption, not ours of the same name
            continue
        kind = ADVERSARIAL if isinstance(shift, Attack) else SYNTHETIC
        sets += [EvalSet(shift.name, kind, severity, base, shift) for severity in severities]
    return sets


def validation_sets(bundle: DataBundle, supplies: Supplies) -> list[EvalSet]:
    """ID validation, then OOD validation: held-out domains, and validation shifts on ID validation."""
    sets = [EvalSet("id_val", "id", 0, first(bundle.id_val, VALIDATION_LIMIT))]
    for domain, examples in bundle.ood_val.items():
        sets.append(EvalSet(domain, "natural", 0, first(examples, VALIDATION_LIMIT)))
    if not bundle.ood_val:
        # Synthetic validation shifts stand in where no validation domain exists; their families are not
        # among the test shifts (METHODS 1.9, leakage rule).
        found = shifts_of(bundle, "val", None, supplies)
        base = first(bundle.id_val, VALIDATION_LIMIT // max(1, len(found)))
        sets += [EvalSet(s.name, SYNTHETIC, VALIDATION_SEVERITY, base, s, VALIDATION_SEED) for s in found]
    return sets


def check_request(suite: Suite, trained: Sequence[AnyShift], allow_seen: bool) -> None:
    """Try every shift on one sample, and refuse a family with two roles, before anything is spent.

    Args:
        trained: shifts that training sees.

    Raises:
        RequestError: see `check_tests` and `check_families`.
    """
    check_tests(suite)
    check_families(suite, trained, allow_seen)


def check_tests(suite: Suite) -> None:
    """Try every shift on one sample.

    Raises:
        RequestError: a shift that does not fit the samples, takes their labels away or asks a teacher that
            testing has not.
    """
    for evalset in (*suite.tests, *suite.validation):
        if isinstance(evalset.shift, Attack) and evalset.shift.teachers:
            raise RequestError(
                f"evaluate.shifts: {evalset.name} asks the teachers {', '.join(evalset.shift.teachers)}, "
                "which only training has; test with an attack on the model itself, mode self"
            )
        if evalset.shift is not None and not evalset.shift.label_preserving:
            raise RequestError(
                f"evaluate.shifts: {evalset.name} takes the labels away, so there is nothing to score; "
                "test with a shift that keeps them"
            )
        if not evalset.asks_model:
            evalset.batch([0])


def check_families(suite: Suite, trained: Sequence[AnyShift], allow_seen: bool) -> None:
    """Refuse a family of shifts that is both trained on and tested on.

    Raises:
        RequestError: naming the family and the shifts.
    """
    val, test = (list(_shifts_under(sets).values()) for sets in (suite.validation, suite.tests))
    shifts.check_roles(trained, val, test, allow_seen=allow_seen)
