"""The report's secondary tables, which stand folded: more scores, gaps by shift, corruption errors, costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tether.evaluation.headline import ADVERSARIAL, ID, SYNTHETIC
from tether.evaluation.headline_metric import score_name
from tether.evaluation.statistics import Interval
from tether.report.comparison import Comparison, Row
from tether.report.efficiency import COLUMNS, READING
from tether.report.records import Run
from tether.report.shift_rows import ShiftRow
from tether.report.verdicts import bounds, percent

# In the table of costs that stands open.
_SHOWN_ALREADY = (
    "trainable_parameters",
    "total_parameters",
    "train_seconds",
    "teacher_seconds",
    "choose_seconds",
    "step_seconds",
    "peak_memory_bytes",
)


@dataclass(frozen=True)
class Cell:
    """What is read, lines of small print below it, and by what a table sorts; NaN and "" stay last."""

    text: str
    small: tuple[str, ...] = ()
    value: float | str = math.nan


@dataclass(frozen=True)
class Table:
    """A table; the first column names the row. `of_methods`: headings from the third on are methods."""

    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    of_methods: bool = False


def more_scores(comparison: Comparison) -> Table:
    """What only some comparisons have, and the views that confirm or weaken the headline."""
    about, columns = comparison.corruption, dict[str, Callable[[Row], Cell]]()
    score = score_name(comparison.metric)
    columns[f"OOD {score}, change"] = lambda r: (
        Cell("–") if r.outcome == "reference" else _interval(r.ood_change)
    )
    if comparison.line.fitted:
        columns["Effective robustness"] = lambda r: _interval(
            r.effective_robustness, "extrapolated" if r.extrapolated else ""
        )
    for kind, of in (("Synthetic", "synthetic"), ("Adversarial", "adversarial")):
        if of == "synthetic" and not part_corrupted(comparison):
            continue
        if _any(comparison, f"{of}_accuracy"):
            columns[f"{kind}: ID, same samples"] = _getter(f"{of}_id_accuracy")
            columns[kind] = _getter(f"{of}_accuracy")
            columns[f"{kind} gap"] = _getter(f"{of}_gap")
    if _any(comparison, "seen_accuracy"):
        columns["Seen in training"] = _getter("seen_accuracy")
    if about.name:
        columns[about.name] = lambda r: _interval(
            r.corruption_error, f"relative {percent(r.relative_corruption_error)}"
        )
    columns["Mean of the shifts’ own reductions"] = lambda r: _interval(
        r.gap_reduction_mean, f"over {r.gap_reduction_shifts} shifts"
    )
    if any(len(r.seeds) > 1 for r in comparison.rows):
        columns["ID over seeds"] = _getter("id_over_seeds")
        columns["OOD over seeds"] = _getter("ood_over_seeds")
        columns["Gap over seeds"] = _getter("gap_over_seeds")
        columns["Gap’s change over seeds"] = _getter("gap_change_over_seeds")
    return Table(
        "More scores and other views",
        "In percent; changes and effective robustness in points. “Over seeds” has t intervals.",
        ("Method", *columns),
        tuple((r.method, tuple(of(r) for of in columns.values())) for r in comparison.rows),
    )


def gaps_by_shift(comparison: Comparison) -> Table | None:
    """The gap on every shifted set, and how much smaller than the reference's it is."""
    found: dict[tuple[str, str, int], list[ShiftRow]] = {}
    for s in comparison.shifts:
        if s.key.kind != ID:
            found.setdefault((s.key.kind, s.key.evalset, s.key.severity), []).append(s)
    if not found:
        return None
    methods = [r.method for r in comparison.rows]
    return Table(
        "The gap on every shift, and its reduction",
        "Gap in percent; below it, by how much it is cut against the reference’s, in percent of that, "
        "with a 95% interval; n/a where the reference’s gap is 1% or less, or too uncertain.",
        ("Set", "Kind", *methods),
        tuple(
            (_at(rows[0]), (Cell(kind, value=kind), *(_gap(s, comparison.reference) for s in rows)))
            for (kind, _, _), rows in sorted(found.items(), key=lambda item: _order(item[0]))
        ),
        of_methods=True,
    )


def corruption_errors(comparison: Comparison) -> Table | None:
    """CE of every corruption under mCE or nCE; None where there is neither."""
    table = comparison.corruption
    if not table.name:
        return None
    names = list(table.rows[0].errors)
    whose = "AlexNet’s" if table.name == "mCE" else "the reference method’s"
    seen = f" Seen in training by some method: {', '.join(table.seen)}." if table.seen else ""
    return Table(
        f"Corruption errors ({table.name})",
        f"Errors under each corruption as a percentage of {whose}: below 100 is better. "
        f"{table.name} is their mean; “relative” counts only the errors beyond the clean ones.{seen}",
        ("Method", table.name, "Relative", *names),
        tuple(
            (
                row.method,
                (
                    _interval(row.mean),
                    _plain(row.relative),
                    *(_plain(row.errors.get(name, math.nan)) for name in names),
                ),
            )
            for row in table.rows
        ),
    )


def more_costs(comparison: Comparison, runs: Sequence[Run]) -> Table | None:
    """Operations, speed and device-hours, means over seeds; None where no run measured any."""
    mine = {r.method: [run for run in runs if run.method == r.method] for r in comparison.rows}
    keys = [
        key
        for key in COLUMNS
        if key not in _SHOWN_ALREADY and any(math.isfinite(run.number(key)) for run in runs)
    ]
    if not keys:
        return None
    devices = sorted({str(run.summary["device"]) for run in runs if run.summary.get("device")})
    where = f" Measured on {', '.join(devices)}." if devices else ""
    rows = []
    for method, of_method in mine.items():
        means = {key: float(np.mean([run.number(key) for run in of_method])) for key in keys}
        rows.append((method, tuple(Cell(COLUMNS[k][1](v), value=v) for k, v in means.items())))
    heads = ("Method", *(_capital(COLUMNS[key][0]) for key in keys))
    return Table(
        "Operations, speed and device-hours", f"Means over seeds.{where} {READING}", heads, tuple(rows)
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _order(key: tuple[str, str, int]) -> tuple[int, str, int]:
    """Natural, synthetic, adversarial: never mixed."""
    kind, name, severity = key
    return (kind == SYNTHETIC) + 2 * (kind == ADVERSARIAL), name, severity


def _at(s: ShiftRow) -> str:
    return str(s.key)


def _gap(s: ShiftRow, reference: str) -> Cell:
    if s.method == reference:
        return _interval(s.gap)
    less = f"cut {percent(s.gap_reduction.value, 0)} {bounds(s.gap_reduction, 0)}"
    return Cell(percent(s.gap.value), (less if s.gap_reduction.known else "n/a",), s.gap.value)


def part_corrupted(comparison: Comparison) -> bool:
    """Whether only a part of the ID test samples was corrupted."""
    return any(
        math.isfinite(r.synthetic_id_accuracy.value)
        and not math.isclose(r.synthetic_id_accuracy.value, r.id_accuracy.value)
        for r in comparison.rows
    )


def _any(comparison: Comparison, name: str) -> bool:
    return any(math.isfinite(getattr(row, name).value) for row in comparison.rows)


def _getter(name: str) -> Callable[[Row], Cell]:
    return lambda r: _interval(getattr(r, name))


def _interval(x: Interval, below: str = "") -> Cell:
    if not math.isfinite(x.value):
        return Cell("n/a")
    ends = bounds(x) if x.known else ""
    return Cell(percent(x.value), tuple(line for line in (ends, below) if line), x.value)


def _plain(x: float) -> Cell:
    return Cell(percent(x), value=x)
