"""Document 003's figures 2 and 3 for any models: shifts against models, accuracy against severity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from tether.evaluation.headline import NATURAL
from tether.evaluation.statistics import Interval
from tether.report.svg import INK, Drawing, Look, clip, looks
from tether.report.tables import number

if TYPE_CHECKING:
    from tether.report.robustness import ModelRow, RobustnessTable


def write_figure(table: RobustnessTable, path: Path) -> None:
    """Write the figure; the suffix says the format, .svg or .png.

    Left: accuracy of every model on ID, on each natural set and over the synthetic shifts. Middle: the gap of
    each to the model's own ID accuracy. Right: accuracy against severity, where shifts have one.
    """
    count = 3 if table.severities else 2
    crowded = len(table.rows) > 4
    height = 4.2 + (0.06 * max(len(clip(row.name)) for row in table.rows) if crowded else 0.0)
    series = _series(table)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, count, squeeze=False)[0]
        _by_model(axes[0], table, "accuracy, %", series, crowded)
        gaps = {name: _as_gaps(values) for name, values in series.items() if name != "ID"}
        _by_model(axes[1], table, "gap relative to ID, %", gaps, crowded, looks(list(series)))
        axes[1].axhline(0, color=INK, lw=0.8)
        if table.severities:
            _by_severity(axes[2], table)
        # One legend below the two panels that share it; a severity panel has its own.
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=min(len(names), 6), fontsize=8)

    Drawing("robustness", "accuracy and gap of each model", (4.4 * count, height), paint).write(path)


@dataclass(frozen=True)
class _Dot:
    """An accuracy with its interval, and the gap with its own."""

    accuracy: Interval
    gap: Interval


def _series(table: RobustnessTable) -> dict[str, list[_Dot]]:
    """Name -> a dot a model: ID, every natural set, the mean of each other kind."""
    found = {"ID": [_Dot(row.id_accuracy, _bare(0.0)) for row in table.rows]}
    for name in table.domains:
        found[name] = [_Dot(_natural(row, name), row.domains[name]) for row in table.rows]
    for kind in table.kinds:
        if kind != NATURAL:
            means = [row.means[kind] for row in table.rows]
            found[f"{kind} (mean)"] = [_Dot(_bare(m.accuracy), _bare(m.gap)) for m in means]
    return found


def _bare(value: float) -> Interval:
    return Interval(value, math.nan, math.nan)


def _as_gaps(dots: Sequence[_Dot]) -> list[_Dot]:
    return [_Dot(d.gap, d.gap) for d in dots]


def _natural(row: ModelRow, name: str) -> Interval:
    return next(c.accuracy for c in row.cells if c.key.kind == NATURAL and str(c.key) == name)


def _by_model(
    ax: Any,
    table: RobustnessTable,
    title: str,
    series: Mapping[str, Sequence[_Dot]],
    crowded: bool,
    look: Mapping[str, Look] | None = None,
) -> None:
    look = looks(list(series)) if look is None else look
    for k, (name, dots) in enumerate(series.items()):
        style = look[name]
        # A little apart, so that intervals do not lie on each other. No line: models are no steps of a scale.
        aside = 0.3 * (k / max(1, len(series) - 1) - 0.5)
        for place, dot in enumerate(dots):
            x = dot.accuracy
            ax.plot(
                place + aside, 100 * x.value, style.marker, color=style.colour, ms=5.5,
                label=clip(name) if place == 0 else None,
            )  # fmt: skip
            if x.known:
                ax.vlines(place + aside, 100 * x.low, 100 * x.high, color=style.colour, lw=1.2)
    ax.set_title(title)
    between = ", " if crowded else "\n"
    names = [f"{clip(row.name)}{between}{number(row.parameters)}" for row in table.rows]
    ax.set_xticks(range(len(table.rows)), names)
    if crowded:
        for label in ax.get_xticklabels():
            label.set(rotation=40, ha="right", rotation_mode="anchor")
    ax.set_xlim(-0.5, len(table.rows) - 0.5)


def _by_severity(ax: Any, table: RobustnessTable) -> None:
    look = looks([row.name for row in table.rows])
    for row in table.rows:
        style = look[row.name]
        first = row.severities[table.severities[0]].home
        values = [first, *(row.severities[s].accuracy for s in table.severities)]
        ax.plot(
            [0, *table.severities], [100 * v for v in values], marker=style.marker, ls=style.dash,
            color=style.colour, ms=5, lw=1.4, label=clip(row.name),
        )  # fmt: skip
    ax.set_title("accuracy by severity, %")
    ax.set_xticks([0, *table.severities], ["ID", *map(str, table.severities)])
    ax.set_xlabel("severity, mean over the synthetic shifts")
    ax.legend(fontsize=8)
