"""Which sets a model is tested on, and which ones may steer choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tether import shifts
from tether.batch import Batch
from tether.data import DataBundle, Examples
from tether.shifts import Draws, Role, Shift

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
        kind: "id", "natural" or "synthetic".
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
    shift: Shift | None = None
    seed: int = EVALUATION_SEED
    answer: NDArray[np.int64] | None = None

    def batch(self, rows: Sequence[int]) -> Batch:
        """These samples, shifted."""
        batch = self.examples.batch(rows)
        return batch if self.shift is None else self.shift(batch, self.severity, Draws(self.seed))


def first(examples: Examples, limit: int | None) -> Examples:
    """An evenly spread part of a set: every k-th row, so that sorted files keep their classes."""
    if limit is None or len(examples) <= limit:
        return examples
    return examples.subset([i * len(examples) // limit for i in range(limit)])


def shift_names(bundle: DataBundle, role: Role, chosen: Sequence[str] | None) -> tuple[str, ...]:
    """The synthetic shifts of a role: as asked, else the data's own, else the defaults for such samples."""
    own = {"train": bundle.train_shifts, "val": bundle.val_shifts, "test": bundle.test_shifts}[role]
    if chosen is not None:
        return tuple(chosen)
    return (
        tuple(own)
        if own is not None
        else shifts.default_names(role, shifts.modality_of(bundle.id_test.batch([0])))
    )


def test_sets(
    bundle: DataBundle, names: Sequence[str] | None, severities: Sequence[int], limit: int | None
) -> list[EvalSet]:
    """ID test, every natural OOD test domain, and ID test under each synthetic shift and severity."""
    asked = bundle.answers.get
    sets = [EvalSet("id_test", "id", 0, bundle.id_test, answer=asked("id_test"))]
    for domain, examples in bundle.ood_test.items():
        sets.append(EvalSet(domain, "natural", 0, examples, answer=asked(f"ood_test/{domain}")))
    for (name, severity), examples in bundle.stress.items():  # stored corruptions, such as ImageNet-C's
        answer = asked(f"stress/{name}/{severity}")
        sets.append(EvalSet(name, "synthetic", severity, examples, answer=answer))
    stored = {name for name, _ in bundle.stress}
    base = first(bundle.id_test, limit)
    for name in shift_names(bundle, "test", names):
        if name in stored:  # the published pictures of a corruption, not ours of the same name
            continue
        shift = shifts.get(name)
        sets += [EvalSet(name, "synthetic", severity, base, shift) for severity in severities]
    return sets


def validation_sets(bundle: DataBundle) -> list[EvalSet]:
    """ID validation, then OOD validation: held-out domains, and validation shifts on ID validation."""
    sets = [EvalSet("id_val", "id", 0, first(bundle.id_val, VALIDATION_LIMIT))]
    for domain, examples in bundle.ood_val.items():
        sets.append(EvalSet(domain, "natural", 0, first(examples, VALIDATION_LIMIT)))
    if not bundle.ood_val:
        # Synthetic validation shifts stand in where no validation domain exists; their families are not
        # among the test shifts (METHODS 1.9, leakage rule).
        names = shift_names(bundle, "val", None)
        base = first(bundle.id_val, VALIDATION_LIMIT // max(1, len(names)))
        for name in names:
            shift = shifts.get(name)
            sets.append(EvalSet(name, "synthetic", VALIDATION_SEVERITY, base, shift, VALIDATION_SEED))
    return sets


def check_request(
    tests: Sequence[EvalSet], validation: Sequence[EvalSet], trained: Sequence[str], allow_seen: bool
) -> None:
    """Try every shift on one sample, and refuse a family with two roles, before anything is spent.

    Raises:
        RequestError: a shift that does not fit the samples; a family both trained on and tested on.
    """
    for evalset in (*tests, *validation):
        evalset.batch([0])

    def synthetic(sets: Sequence[EvalSet]) -> list[Shift]:
        known = {s.name for s in shifts.all_shifts()}
        stored = [s.name for s in sets if s.kind == "synthetic" and s.shift is None and s.name in known]
        made = {s.name: s.shift for s in sets if s.shift is not None}
        return [*made.values(), *(shifts.get(name) for name in dict.fromkeys(stored))]

    shifts.check_roles(trained, synthetic(validation), synthetic(tests), allow_seen=allow_seen)
