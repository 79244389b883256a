"""Several models on the same shifts: accuracy and relative gap, with parameters (document 003, section 3)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tether.evaluation.bootstrap import bootstrap_gap
from tether.evaluation.headline import ADVERSARIAL, ID, NATURAL, SYNTHETIC, SetKey, id_weights, kind_weights
from tether.evaluation.metrics import robustness_gap
from tether.evaluation.statistics import Interval, wilson
from tether.files import write_json, write_text
from tether.report.records import Predictions, Run
from tether.report.robustness_plot import write_figure
from tether.report.tables import number

NAME = "robustness"  # of the files: .csv, .json, .md, .svg, .png


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
    if found.key.kind in (SYNTHETIC, ADVERSARIAL) and np.isin(found.ids, home.ids).all():
        at_home = at_home[np.searchsorted(home.ids, found.ids)]  # both are in order of their ids
    return Cell(found.key, wilson(int(hits.sum()), len(hits)), float(at_home.mean()), len(hits))


def _is_at(key: SetKey, level: int) -> bool:
    return key.kind == SYNTHETIC and key.severity == level


def write_robustness(table: RobustnessTable, folder: Path) -> list[Path]:
    """Write the table as CSV (a line a model and set), JSON and Markdown, and the figure as SVG and PNG."""
    paths = [folder / f"{NAME}.{kind}" for kind in ("csv", "json", "md", "svg", "png")]
    write_text(paths[0], robustness_csv(table))
    write_json(paths[1], robustness_json(table))
    write_text(paths[2], robustness_markdown(table))
    write_figure(table, paths[3])
    write_figure(table, paths[4])
    return paths


def robustness_csv(table: RobustnessTable) -> str:
    """A line a model and set, in fractions; `id_accuracy` is on the same samples where it can be."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            "model",
            "parameters",
            "evalset",
            "kind",
            "severity",
            "id_accuracy",
            "accuracy",
            "low",
            "high",
            "gap",
            "n",
        ]
    )
    for row in table.rows:
        start = [row.name, "" if math.isnan(row.parameters) else int(row.parameters)]
        for cell in row.cells:
            a = cell.accuracy
            where = [cell.key.evalset, cell.key.kind, cell.key.severity]
            writer.writerow([*start, *where, cell.home, a.value, a.low, a.high, cell.gap, cell.n])
    return buffer.getvalue()


def robustness_json(table: RobustnessTable) -> list[dict[str, Any]]:
    """One object a model; what is not known is null."""
    return [
        {
            "model": row.name,
            "parameters": None if math.isnan(row.parameters) else int(row.parameters),
            "id_accuracy": _interval(row.id_accuracy),
            "means": {k: _mean(v) for k, v in row.means.items()},
            "natural_gaps": {name: _interval(gap) for name, gap in row.domains.items()},
            "severities": {str(k): _mean(v) for k, v in row.severities.items()},
            "sets": [
                {
                    "evalset": c.key.evalset,
                    "kind": c.key.kind,
                    "severity": c.key.severity,
                    "accuracy": _interval(c.accuracy),
                    "id_accuracy": c.home,
                    "gap": _known(c.gap),
                    "n": c.n,
                }
                for c in row.cells
            ],
        }
        for row in table.rows
    ]


def columns(table: RobustnessTable) -> list[str]:
    """Headings of the short table."""
    return [
        "model",
        "parameters",
        "ID",
        *table.domains,
        *(f"{k} mean" for k in table.kinds if k != NATURAL or len(table.domains) > 1),
        *(f"severity {level}" for level in table.severities),
    ]


def lines(table: RobustnessTable, intervals: bool = True) -> list[list[str]]:
    """The short table: accuracy in percent, then the relative gap in parentheses."""
    out = []
    for row in table.rows:
        natural = {str(c.key): c.accuracy.value for c in row.cells if c.key.kind == NATURAL}
        means = [row.means[k] for k in table.kinds if k != NATURAL or len(table.domains) > 1]
        means += [row.severities[s] for s in table.severities]
        out.append(
            [
                row.name,
                number(row.parameters),
                _percent(row.id_accuracy.value),
                *(_with_gap(natural[name], row.domains[name], intervals) for name in table.domains),
                *(_with_gap(m.accuracy, Interval(m.gap, math.nan, math.nan), False) for m in means),
            ]
        )
    return out


def robustness_markdown(table: RobustnessTable) -> str:
    """The short table with a line on how to read it."""
    heads = columns(table)
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)], *lines(table)]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"{body}\n\n{READING}\n"


READING = (
    "Accuracy in percent, and in parentheses the relative gap 1 - accuracy/ID in percent; of a natural set "
    "with its 95% interval (bootstrap). ID is that of the samples a synthetic set was made of. A smaller gap "
    "says nothing by itself: look at ID beside it."
)


def _with_gap(accuracy: float, gap: Interval, interval: bool) -> str:
    said = f" [{_percent(gap.low)}, {_percent(gap.high)}]" if interval else ""
    return f"{_percent(accuracy)} ({_percent(gap.value)}{said})"


def _mean(x: Mean) -> dict[str, float | None]:
    return {"accuracy": _known(x.accuracy), "id_accuracy": _known(x.home), "gap": _known(x.gap)}


def _percent(x: float) -> str:
    return "n/a" if math.isnan(x) else f"{100 * x:z.1f}"  # no "-0.0"


def _known(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _interval(x: Interval) -> dict[str, float | None]:
    return {"value": _known(x.value), "low": _known(x.low), "high": _known(x.high)}
