"""Pictures of a comparison: intervals, ID against OOD, severity curves, the map of shifts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tether.evaluation.headline import KINDS, SYNTHETIC
from tether.evaluation.statistics import Interval
from tether.report.comparison import Comparison
from tether.report.shift_rows import ShiftRow
from tether.report.svg import INK, Look, draw, looks

_PANEL_LIMIT = 24  # corruptions drawn as small multiples; ImageNet-C has 19


def intervals_plot(comparison: Comparison) -> str:
    """Gap, ID and OOD accuracy of each method as a dot with its 95% interval."""
    rows = comparison.rows
    panels = [
        ("robustness gap, % (less is better)", [r.gap for r in rows]),
        ("ID accuracy, %", [r.id_accuracy for r in rows]),
        (f"OOD accuracy ({comparison.ood_kind}), %", [r.ood_accuracy for r in rows]),
    ]
    methods = [r.method for r in rows]
    look = looks(methods)

    def paint(figure: Figure) -> None:
        for k, (ax, (title, values)) in enumerate(zip(_row_of_axes(figure, 3), panels, strict=True)):
            for y, (method, value) in enumerate(zip(methods, values, strict=True)):
                _whisker(ax, value, y, look[method])
            ax.set_ylim(len(methods) - 0.5, -0.5)
            ax.set_yticks(range(len(methods)), methods if k == 0 else [""] * len(methods))
            ax.set_title(title)
            ax.grid(visible=False, axis="y")
            ax.axvline(100 * values[0].value, color=INK, lw=0.8, ls=":")  # the reference

    label = "Dots with 95% intervals. " + "; ".join(
        f"{r.method}: gap {100 * r.gap.value:.1f}%, ID {100 * r.id_accuracy.value:.1f}%, "
        f"OOD {100 * r.ood_accuracy.value:.1f}%"
        for r in rows
    )
    return draw("intervals", label, (9.5, 1.0 + 0.38 * len(rows)), paint)


def id_ood_plot(comparison: Comparison) -> str:
    """ID against OOD accuracy; on the diagonal a shift costs nothing."""
    rows = comparison.rows
    look = looks([r.method for r in rows])

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for r in rows:
            style = look[r.method]
            x, y = r.id_accuracy, r.ood_accuracy
            if not (math.isfinite(x.value) and math.isfinite(y.value)):
                continue
            ax.errorbar(
                100 * x.value,
                100 * y.value,
                xerr=_arms(x),
                yerr=_arms(y),
                color=style.colour,
                marker=style.marker,
                ls="",
                label=r.method,
            )
        ends = [*ax.get_xlim(), *ax.get_ylim()]
        ax.axline((min(ends), min(ends)), slope=1, color=INK, lw=0.8, ls=":")
        ax.set_xlabel("ID accuracy, %")
        ax.set_ylabel(f"OOD accuracy ({comparison.ood_kind}), %")
        figure.legend(loc="outside right upper")

    label = "ID accuracy against OOD accuracy. " + "; ".join(
        f"{r.method}: {100 * r.id_accuracy.value:.1f}%, {100 * r.ood_accuracy.value:.1f}%" for r in rows
    )
    return draw("id-ood", label, (6.5, 4.2), paint)


def severity_plot(comparison: Comparison) -> str | None:
    """Accuracy over severity, one panel a corruption, one line a method, from the ID set at severity 0.

    None when no set has a severity.
    """
    graded = [s for s in comparison.shifts if s.key.kind == SYNTHETIC and s.key.severity > 0]
    names = sorted({s.key.evalset for s in graded})[:_PANEL_LIMIT]
    if not names:
        return None
    methods = [r.method for r in comparison.rows]
    look = looks(methods)
    clean = {r.method: r.id_accuracy.value for r in comparison.rows}
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, name in zip(grid, names, strict=False):
            for m in methods:
                mine = sorted(
                    (s.key.severity, s.accuracy.value)
                    for s in graded
                    if s.method == m and s.key.evalset == name
                )
                x, y = zip((0, clean[m]), *mine, strict=True)
                style = look[m]
                ax.plot(
                    x,
                    100 * np.array(y),
                    color=style.colour,
                    ls=style.dash,
                    marker=style.marker,
                    ms=4,
                    label=m,
                )
            ax.set_title(name)
            ax.set_xticks(range(6))
        for ax in grid[len(names) :]:
            ax.set_visible(False)
        figure.supxlabel("severity (0: ID test)", fontsize=10)
        figure.supylabel("accuracy, %", fontsize=10)
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(5, len(methods)))

    label = (
        f"Accuracy over severity for {', '.join(names)}, one line for each of {', '.join(methods)}; "
        "the table of shifts holds the numbers."
    )
    return draw("severity", label, (1.2 + 2.1 * max(columns, 2), 1.0 + 1.9 * lines), paint)


def shift_map(comparison: Comparison) -> str:
    """Heat map of accuracy, one row a shift (severities averaged), one column a method."""
    methods = [r.method for r in comparison.rows]
    names = sorted({(KINDS.index(s.key.kind), s.key.evalset) for s in comparison.shifts})
    cells = np.array([[_mean(comparison.shifts, m, name) for m in methods] for _, name in names])

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        low, high = float(cells.min()), float(cells.max())
        ax.pcolormesh(100 * cells, cmap="cividis", edgecolors=INK, linewidth=0.3)
        for (i, j), value in np.ndenumerate(cells):
            # cividis runs from dark to light: white figures on its lower half, black on its upper.
            light = high > low and (value - low) / (high - low) > 0.5
            ax.text(
                j + 0.5,
                i + 0.5,
                f"{100 * value:.1f}",
                ha="center",
                va="center",
                color="#000" if light else "#fff",
            )
        ax.set_xticks(np.arange(len(methods)) + 0.5, methods, rotation=30, ha="left", rotation_mode="anchor")
        ax.xaxis.tick_top()
        ax.set_yticks(np.arange(len(names)) + 0.5, [n for _, n in names])
        ax.invert_yaxis()
        ax.grid(visible=False)
        ax.tick_params(length=0)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)

    label = f"Accuracy in percent of {', '.join(methods)} on {', '.join(n for _, n in names)}."
    return draw("shift-map", label, (2.4 + 0.95 * len(methods), 1.1 + 0.32 * len(names)), paint)


def _mean(shifts: Sequence[ShiftRow], method: str, name: str) -> float:
    mine = [s.accuracy.value for s in shifts if s.method == method and s.key.evalset == name]
    return float(np.mean(mine))


def _row_of_axes(figure: Figure, count: int) -> Any:
    return figure.subplots(1, count, squeeze=False)[0]


def _arms(x: Interval) -> Any:
    """Lengths of the two whiskers in percent, (2, 1); none where the interval is not known."""
    if not x.known:
        return None
    return 100 * np.array([[max(0.0, x.value - x.low)], [max(0.0, x.high - x.value)]])


def _whisker(ax: Any, x: Interval, y: float, look: Look) -> None:
    if math.isfinite(x.value):
        ax.errorbar(100 * x.value, y, xerr=_arms(x), color=look.colour, marker=look.marker, capsize=3)
