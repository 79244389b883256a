"""The robustness table as files: CSV, JSON, Markdown, and the figure."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tether.evaluation.headline import NATURAL
from tether.evaluation.statistics import Interval
from tether.files import write_json, write_text
from tether.report.robustness import Mean, RobustnessTable
from tether.report.robustness_plot import write_figure
from tether.report.strict_json import finite
from tether.report.tables import number

NAME = "robustness"  # of the files: .csv, .json, .md, .svg, .png


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
    found: list[dict[str, Any]] = [
        {
            "model": row.name,
            "parameters": None if math.isnan(row.parameters) else int(row.parameters),
            "id_accuracy": asdict(row.id_accuracy),
            "means": {k: _mean(v) for k, v in row.means.items()},
            "natural_gaps": {name: asdict(gap) for name, gap in row.domains.items()},
            "severities": {str(k): _mean(v) for k, v in row.severities.items()},
            "sets": [
                {
                    "evalset": c.key.evalset,
                    "kind": c.key.kind,
                    "severity": c.key.severity,
                    "accuracy": asdict(c.accuracy),
                    "id_accuracy": c.home,
                    "gap": c.gap,
                    "n": c.n,
                }
                for c in row.cells
            ],
        }
        for row in table.rows
    ]
    known: list[dict[str, Any]] = finite(found)
    return known


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


def _mean(x: Mean) -> dict[str, float]:
    return {"accuracy": x.accuracy, "id_accuracy": x.home, "gap": x.gap}


def _percent(x: float) -> str:
    return "n/a" if math.isnan(x) else f"{100 * x:z.1f}"  # no "-0.0"
