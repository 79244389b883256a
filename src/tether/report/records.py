"""A run as plain data: what the report works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tether.evaluation.groups import NO_GROUPS, NO_NAMES, Grouping, Names
from tether.evaluation.headline import SetKey
from tether.evaluation.metrics import Array, Floats, correct
from tether.report.seen import seen_shifts


@dataclass(frozen=True)
class Measurement:
    """One row of `results.jsonl`; accuracies are fractions."""

    evalset: str
    kind: str
    severity: int
    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Predictions:
    """Predictions on one evaluation set, in order of the sample ids.

    Attributes:
        key: name, kind and severity of the set.
        ids: (N,) int64.
        labels: (N,) int64.
        probabilities: (N, C) float32.
        grouping: the groups of the examples; empty where the run has none, or is an older one.
    """

    key: SetKey
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: Array
    grouping: Grouping = NO_GROUPS

    def correct(self) -> Floats:
        """1.0 for each right example, (N,)."""
        return correct(self.probabilities, self.labels)


@dataclass(frozen=True)
class Sample:
    """One example of a set to show to a reader: a text, or a PNG in base64; `id` None in older runs."""

    key: SetKey
    label: int
    text: str | None
    image: str | None
    id: int | None = None


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        folder: where it was read from.
        method: the method's name.
        seed: its seed.
        summary: `summary.json`; `number` reads a value that may be missing.
        config: `config.yaml`, parsed; `config_text` as written.
        classes: class names by label.
        sets: predictions, sorted by set.
        results: measurements as the run wrote them.
        log: rows of `log.jsonl`.
        merge: rows of `merge.jsonl`; empty without one.
        samples: examples to show; empty without them.
        problems: what could not be read, one sentence each.
        names: of classes, groups and members; the temperature.
        picture_size: side of the pictures in pixels; None for texts, or where the run does not say.
        validation: rows of `validation.jsonl`, what a controller or early stopping saw; empty without one.
    """

    folder: Path
    method: str
    seed: int
    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    config_text: str
    classes: tuple[str, ...]
    sets: tuple[Predictions, ...]
    results: tuple[Measurement, ...]
    log: tuple[Mapping[str, Any], ...]
    merge: tuple[Mapping[str, Any], ...]
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]
    names: Names = NO_NAMES
    picture_size: int | None = None
    validation: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """Method and seed, as a heading."""
        return f"{self.method}, seed {self.seed}"

    @property
    def keys(self) -> tuple[SetKey, ...]:
        """The evaluation sets, sorted."""
        return tuple(s.key for s in self.sets)

    @property
    def seen(self) -> frozenset[str] | None:
        """Shifts used in training: as the run recorded them, else as its config says; None if unknown."""
        recorded = self.summary.get("seen_shifts")
        return seen_shifts(self.config) if recorded is None else frozenset(recorded)

    def number(self, key: str) -> float:
        """A number of the summary; NaN where it is missing or null."""
        value = self.summary.get(key)
        return float(value) if isinstance(value, int | float) else float("nan")
