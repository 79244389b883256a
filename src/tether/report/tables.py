"""The comparison as a terminal table, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tether.evaluation.statistics import Interval
from tether.report.comparison import Comparison, Row
from tether.report.strict_json import strict_json, unknown
from tether.report.verdicts import bounds, percent


def number(x: float) -> str:
    """A count in at most five characters; a dash when it is not known.

    Example:
        >>> number(22_700_000), number(1155), number(12)
        ('22.7M', '1.2k', '12')
    """
    if not math.isfinite(x):
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.1f}{unit}"
    return f"{x:.0f}"


def seconds(x: float) -> str:
    """A duration to read at a glance; a dash when it is not known.

    Example:
        >>> seconds(0.042), seconds(31.5), seconds(4000)
        ('42 ms', '32 s', '1.1 h')
    """
    if not math.isfinite(x):
        return "–"
    if x < 1 and x != 0:
        return f"{1000 * x:.0f} ms"
    return f"{x:.0f} s" if x < 120 else f"{x / 60:.0f} min" if x < 3600 else f"{x / 3600:.1f} h"


WIDE = 100  # columns that the whole table needs; a narrower terminal gets it in two parts


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the methods side by side and a verdict line for each; fits 100 columns, or 80 in two tables."""
    scores = ("ID %", _shifted(comparison), "gap %", "synthetic %")
    changes = ("gap cut %", "ID change", "cost")
    wide = console.width >= WIDE
    for names in [(*scores, *changes)] if wide else [scores, changes]:
        table = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False, header_style="bold")
        table.add_column("method", no_wrap=True)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        for row in comparison.rows:
            cells = _cells(row, scores, changes)
            table.add_row(Text(f"{row.method}\n{_seeds(row)}"), *(cells[name] for name in names))
        console.print(table)
    console.print(
        Text("[ ] 95% interval   ~ inside the noise   cost: trained parameters, time (+ teachers), a step\n")
    )
    for row in comparison.rows:
        console.print(Text(row.verdict))
    if comparison.metric != "accuracy":
        console.print(Text(f"note: all scores are {comparison.metric}"))
    print_rest(comparison, console)
    for problem in comparison.problems:
        console.print(Text(f"note: {problem}"))


def print_rest(comparison: Comparison, console: Console) -> None:
    """What only some comparisons have: other kinds of shift, a line of ordinary models, corruption errors."""
    named = comparison.corruption
    columns = {
        "adversarial %": lambda r: _cell(r.adversarial_accuracy, f"gap {percent(r.adversarial_gap.value)}"),
        "seen in training %": lambda r: _cell(r.seen_accuracy),
        "effective robustness": lambda r: _cell(
            r.effective_robustness, "extrapolated" if r.extrapolated else ""
        ),
        f"{named.name} %": lambda r: _cell(r.corruption_error),
    }
    there = [
        *(["adversarial %"] if _any(comparison, "adversarial_accuracy") else []),
        *(["seen in training %"] if _any(comparison, "seen_accuracy") else []),
        *(["effective robustness"] if comparison.line.fitted else []),
        *([f"{named.name} %"] if named.name else []),
    ]
    if there:
        table = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False, header_style="bold")
        table.add_column("method", no_wrap=True)
        for name in there:
            table.add_column(name, justify="right", no_wrap=True)
        for row in comparison.rows:
            table.add_row(Text(row.method), *(columns[name](row) for name in there))
        console.print()
        console.print(table)
    if named.name:
        why = f" ({named.reason})" if named.reason else ""
        console.print(Text(f"{named.name}: errors under corruption over those of {named.against}{why}"))
    if not comparison.line.fitted:
        console.print(Text(f"effective robustness: {comparison.line.reason}"))


def _any(comparison: Comparison, name: str) -> bool:
    return any(math.isfinite(getattr(row, name).value) for row in comparison.rows)


def _cells(row: Row, scores: tuple[str, ...], changes: tuple[str, ...]) -> dict[str, Text]:
    """A row's cells by column name."""
    values = (
        _cell(row.id_accuracy),
        _cell(row.ood_accuracy),
        _cell(row.gap),
        _cell(row.synthetic_accuracy, f"gap {percent(row.synthetic_gap.value)}{_there(row)}"),
        _cell(row.gap_reduction, digits=0, mark=" ~" if row.inside_noise else ""),
        _cell(row.id_change) if row.outcome != "reference" else Text("–"),
        _cost(row),
    )
    return dict(zip((*scores, *changes), values, strict=True))


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """Print one run's numbers: accuracies in percent, the gap, and what it cost."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for key, label in (
        ("id_accuracy", "ID accuracy %"),
        ("ood_accuracy", "OOD accuracy %"),
        ("robustness_gap", "robustness gap %"),
        ("synthetic_accuracy", "under synthetic shifts %"),
        ("mu", "merging weight mu"),
        ("trainable_parameters", "trained parameters"),
        ("train_seconds", "training"),
        ("teacher_seconds", "teachers' training"),
        ("choose_seconds", "choosing on validation"),
        ("evaluate_seconds", "stress test"),
        ("step_seconds", "a step"),
        ("peak_memory_bytes", "peak memory"),
        ("train_step_flops", "operations a step"),
        ("inference_flops", "operations a sample"),
        ("latency_seconds", "latency of one sample"),
        ("latency_unmerged_seconds", "latency, unmerged"),
    ):
        value = summary.get(key)
        if value is None:
            continue
        if label.endswith("%"):
            shown = percent(value)
        elif key.endswith("seconds"):
            shown = seconds(value)
        elif key.endswith("bytes"):
            shown = f"{value / 2**30:.2f} GiB"
        else:
            shown = f"{value:.2f}" if key == "mu" else number(value)
        table.add_row(label, Text(shown, justify="right"))
    console.print(Text(f"{summary['method']}, seed {summary['seed']}", style="bold"))
    console.print(table)


def comparison_csv(comparison: Comparison) -> str:
    """One line a method; an interval becomes three columns (`gap`, `gap_low`, `gap_high`)."""
    lines = [_flat(row) for row in comparison.rows]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()


def comparison_json(comparison: Comparison) -> str:
    """Everything in the comparison as strict JSON; what is not known is null."""
    return strict_json(asdict(comparison))


def _shifted(comparison: Comparison) -> str:
    return "OOD %" if comparison.ood_kind == "natural" else "OOD % (syn.)"


def _there(row: Row) -> str:
    """The ID score that the synthetic gap is against, where only a part of the ID samples was corrupted."""
    there = percent(row.synthetic_id_accuracy.value)
    return "" if there in (percent(row.id_accuracy.value), "–") else f"\nID there {there}"


def _seeds(row: Row) -> str:
    return f"{len(row.seeds)} seed{'s' if len(row.seeds) != 1 else ''}"


def _cell(x: Interval, below: str = "", digits: int = 1, mark: str = "") -> Text:
    if math.isnan(x.value):
        return Text("n/a")
    text = Text(f"{percent(x.value, digits)}{mark}\n")
    text.append(bounds(x, digits), style="dim")
    if below:
        text.append(f"\n{below}", style="dim")
    return text


def _cost(row: Row) -> Text:
    time = seconds(row.own_seconds)
    if row.teacher_seconds > 0:
        time += f" + {seconds(row.teacher_seconds)}"
    return Text(f"{number(row.trainable_parameters)}\n{time}\n{seconds(row.step_seconds)}/step")


def _flat(row: Row) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for f in fields(row):
        value = getattr(row, f.name)
        if isinstance(value, Interval):
            out |= {f.name: value.value, f"{f.name}_low": value.low, f"{f.name}_high": value.high}
        else:
            out[f.name] = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return {k: "" if unknown(v) else v for k, v in out.items()}
