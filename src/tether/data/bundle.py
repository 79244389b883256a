"""DataBundle: everything a run knows about its data, and nothing about where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np

from tether.data.config_parts import ShiftSpec
from tether.data.examples import Examples, Ints


@final
@dataclass(frozen=True, eq=False)
class DataBundle:
    """The sets of one benchmark.

    Attributes:
        name: the preset's name or the table's file name without its suffix.
        classes: class names; a label is an index into them.
        ood_val: held-out domains that may steer lambda, mu and early stopping.
        ood_test: held-out domains that may steer nothing; never one of `ood_val`.
        fingerprint: hash of the content of every set (classes, ids, labels, groups, decoded x) and of the
            picture size. It does not change with the machine, the folder or the file format.
        skipped: unreadable rows left out under `on_error: skip`.
        dropped: rows in no set, so that no group lies on two sides.
        groups: names for `Examples.groups`.
        train_shifts: synthetic shifts the config names for training; None means the defaults.
        val_shifts: the same for validation.
        test_shifts: the same for testing.
        stress: sets made under a synthetic shift beforehand, by (shift, severity), such as ImageNet-C's.
        answers: set -> for each class, the class it counts as there, (C,), -1 where it is not asked for: a
            set with 200 of 1000 classes is scored among its own. A set that is not named asks for all.
        members: names of the overlapping subgroups, the columns of `Examples.members`.
        faults: the first unreadable rows, in words.
        notes: what a reader of the results should know about the data.

    Example:
        >>> bundle = load_data(DataConfig(preset="sentiment"))  # doctest: +SKIP
        >>> list(bundle.sets())  # doctest: +SKIP
        ['train', 'id_val', 'id_test', 'ood_val/amazon', 'ood_test/movie', 'ood_test/nyt']
    """

    name: str
    classes: tuple[str, ...]
    train: Examples
    id_val: Examples
    id_test: Examples
    ood_val: Mapping[str, Examples]
    ood_test: Mapping[str, Examples]
    fingerprint: str
    skipped: int = 0
    dropped: int = 0
    groups: tuple[str, ...] = ()
    train_shifts: tuple[ShiftSpec, ...] | None = None
    val_shifts: tuple[ShiftSpec, ...] | None = None
    test_shifts: tuple[ShiftSpec, ...] | None = None
    stress: Mapping[tuple[str, int], Examples] = field(default_factory=dict)
    answers: Mapping[str, Ints] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def sets(self) -> dict[str, Examples]:
        """Every set by name, in a fixed order: "ood_test/<domain>", "stress/<shift>/<severity>"."""
        named = {"train": self.train, "id_val": self.id_val, "id_test": self.id_test}
        named |= {f"ood_val/{domain}": examples for domain, examples in self.ood_val.items()}
        named |= {f"ood_test/{domain}": examples for domain, examples in self.ood_test.items()}
        return named | {
            f"stress/{shift}/{level}": examples for (shift, level), examples in self.stress.items()
        }

    def class_index(self, name: str) -> Ints:
        """Positions, among `classes`, of the classes that a set asks for, (K,), ascending."""
        answer = self.answers.get(name, np.arange(len(self.classes)))
        return np.unique(answer[answer >= 0])

    def at(self, size: int) -> DataBundle:
        """The same data with pictures of `size` pixels a side; for texts nothing changes."""
        if self.train.read.at(size) == self.train.read:
            return self
        resized = {name: examples.at(size) for name, examples in self.sets().items()}
        return replace(self, fingerprint=fingerprint(self.classes, resized), **_fields(resized))


def bundle_of(name: str, classes: tuple[str, ...], sets: Mapping[str, Examples]) -> DataBundle:
    """Put named sets together and take their fingerprint; the rest is filled in with `replace`."""
    return DataBundle(name=name, classes=classes, fingerprint=fingerprint(classes, sets), **_fields(sets))


def fingerprint(classes: tuple[str, ...], sets: Mapping[str, Examples]) -> str:
    """Hash of the content of all sets, 32 hex digits.

    `datasets` has a fingerprint too, but it hangs on paths and times, so two machines never agree on it.
    """
    total = hashlib.blake2b(digest_size=16)
    total.update(json.dumps([1, classes]).encode())  # 1: this recipe; raise it when the recipe changes
    for name, examples in sets.items():
        total.update(json.dumps([name, len(examples), examples.read.size]).encode())
        groups = np.zeros(0, dtype=np.int64) if examples.groups is None else examples.groups
        for column in (examples.ids, examples.labels, groups):
            total.update(column.astype("<i8").tobytes())  # little-endian on every machine
        total.update(examples.digests.tobytes())
    return total.hexdigest()


def _fields(sets: Mapping[str, Examples]) -> dict[str, Any]:
    def domains(split: str) -> Mapping[str, Examples]:
        return {n.partition("/")[2]: e for n, e in sets.items() if n.startswith(f"{split}/")}

    return {
        "train": sets["train"],
        "id_val": sets["id_val"],
        "id_test": sets["id_test"],
        "ood_val": domains("ood_val"),
        "ood_test": domains("ood_test"),
        "stress": {
            (shift, int(severity)): examples
            for (shift, _, severity), examples in (
                (n.partition("/"), e) for n, e in domains("stress").items()
            )
        },
    }
