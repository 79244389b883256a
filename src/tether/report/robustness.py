"""Several models on the same shifts: accuracy and relative gap, with parameters (document 003, section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tether.evaluation.bootstrap import bootstrap_gap
from tether.evaluation.headline import ADVERSARIAL, ID, NATURAL, SYNTHETIC, SetKey, id_weights, kind_weights
from tether.evaluation.metrics import robustness_gap
from tether.evaluation.statistics import Interval, wilson
from tether.report.paired import rows_at_home
from tether.report.records import Predictions, Run


@dataclass(frozen=True)
class Cell:
    """One model on one set.

    Attributes:
        key: the set.
        accuracy: a fraction with Wilson's interval.
        home: ID accuracy, on the very samples that a synthetic set was made of where it was made of some of
            ID's, so that a limit on their number widens no gap.
        n: examples.
    """

    key: SetKey
    accuracy: Interval
    home: float
    n: int

    @property
    def gap(self) -> float:
        """1 - accuracy / home."""
        return robustness_gap(self.home, self.accuracy.value)


@dataclass(frozen=True)
class Mean:
    """A mean accuracy over sets, and that of ID on the samples they were made of."""

    accuracy: float
    home: float

    @property
    def gap(self) -> float:
        """1 - accuracy / home."""
        return robustness_gap(self.home, self.accuracy)


@dataclass(frozen=True)
class ModelRow:
    """One model on every set.

    Attributes:
        name: what the table calls it.
        parameters: all of the model's; NaN when its run did not say.
        id_accuracy: with its interval.
        cells: every set but ID's, sorted.
        domains: natural set -> its gap with the bootstrap's interval.
        means: kind -> mean accuracy over severities first, then over sets, and the mean of `home` alike; only
            kinds that were tested.
        severities: severity -> the same two over the synthetic shifts tested there.
    """

    name: str
    parameters: float
    id_accuracy: Interval
    cells: tuple[Cell, ...]
    domains: Mapping[str, Interval]
    means: Mapping[str, Mean]
    severities: Mapping[int, Mean]


@dataclass(frozen=True)
class RobustnessTable:
    """Models by parameters, smallest first, and what all of them were tested on."""

    rows: tuple[ModelRow, ...]
    domains: tuple[str, ...]
    kinds: tuple[str, ...]
    severities: tuple[int, ...]


def robustness_table(runs: Sequence[Run]) -> RobustnessTable:
    """Put runs side by side; they must be of the same sets (`read_runs` checks).

    Example:
        >>> robustness_table(read_runs(folders)).rows[0].means["natural"]  # doctest: +SKIP
        0.61
    """
    rows = sorted((_row(run) for run in runs), key=_by_size)
    first = rows[0]
    return RobustnessTable(tuple(rows), tuple(first.domains), tuple(first.means), tuple(first.severities))


def _by_size(row: ModelRow) -> tuple[float, str]:
    return (row.parameters if math.isfinite(row.parameters) else math.inf, row.name)


def _row(run: Run) -> ModelRow:
    keys = list(run.keys)
    home = run.sets[int(np.argmax(id_weights(keys)))]
    inside = home.correct()
    cells = tuple(_cell(s, home) for s in run.sets)
    accuracy, base = (
        np.array(values) for values in zip(*((c.accuracy.value, c.home) for c in cells), strict=True)
    )

    def mean(weights: Any) -> Mean:
        return Mean(float(weights @ accuracy), float(weights @ base))

    kinds = [k for k in (NATURAL, SYNTHETIC, ADVERSARIAL) if any(key.kind == k for key in keys)]
    return ModelRow(
        name=run.method,
        parameters=run.number("total_parameters"),
        id_accuracy=wilson(int(inside.sum()), len(inside)),
        cells=tuple(c for c in cells if c.key.kind != ID),
        domains={str(s.key): bootstrap_gap(inside, [s.correct()]) for s in run.sets if s.key.kind == NATURAL},
        means={k: mean(kind_weights(keys, k)) for k in kinds},
        severities={
            level: mean(np.array([_is_at(k, level) for k in keys]) / sum(_is_at(k, level) for k in keys))
            for level in sorted({k.severity for k in keys if k.kind == SYNTHETIC})
        },
    )


def _cell(found: Predictions, home: Predictions) -> Cell:
    hits = found.correct()
    at_home = home.correct()
    if found.key.kind in (SYNTHETIC, ADVERSARIAL) and (rows := rows_at_home(found, home)) is not None:
        at_home = at_home[rows]
    return Cell(found.key, wilson(int(hits.sum()), len(hits)), float(at_home.mean()), len(hits))


def _is_at(key: SetKey, level: int) -> bool:
    return key.kind == SYNTHETIC and key.severity == level
