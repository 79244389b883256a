"""Pictures of a comparison by method and by shift: intervals, severity curves, the map of shifts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tether.evaluation.headline import KINDS, SYNTHETIC
from tether.evaluation.headline_metric import score_name, score_title
from tether.evaluation.statistics import Interval
from tether.report.comparison import Comparison
from tether.report.shift_rows import ShiftRow
from tether.report.svg import INK, Drawing, Look, clip, looks

_PANEL_LIMIT = 24  # corruptions drawn as small multiples; ImageNet-C has 19
LINES = 8  # methods told apart as lines in one panel; more stay as grey background
_ACROSS = 10  # methods as columns of the map; more stand as its rows


def intervals_plot(comparison: Comparison) -> Drawing:
    """Gap, ID and OOD score of each method as a dot with its 95% interval."""
    rows, score = comparison.rows, score_name(comparison.metric)
    panels = [
        ("robustness gap, % (less is better)", [r.gap for r in rows]),
        (f"ID {score}, %", [r.id_accuracy for r in rows]),
        (f"OOD {score} ({comparison.ood_kind}), %", [r.ood_accuracy for r in rows]),
    ]
    methods = [r.method for r in rows]
    look = looks(methods)

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for k, (ax, (title, values)) in enumerate(zip(axes, panels, strict=True)):
            for y, (method, value) in enumerate(zip(methods, values, strict=True)):
                _whisker(ax, value, y, look[method])
            ax.set_ylim(len(methods) - 0.5, -0.5)
            ax.set_yticks(range(len(methods)), [clip(m) if k == 0 else "" for m in methods])
            ax.set_title(title)
            ax.grid(visible=False, axis="y")
            if math.isfinite(values[0].value):
                ax.axvline(100 * values[0].value, color=INK, lw=0.8, ls=":")  # the reference

    label = "Dots with 95% intervals. " + "; ".join(
        f"{r.method}: gap {100 * r.gap.value:.1f}%, ID {100 * r.id_accuracy.value:.1f}%, "
        f"OOD {100 * r.ood_accuracy.value:.1f}%"
        for r in rows
    )
    return Drawing("intervals", label, (9.5, 1.0 + 0.3 * max(3, len(rows))), paint)


def severity_plot(comparison: Comparison) -> Drawing | None:
    """Score over severity, one panel a corruption, one line a method, from the same samples at severity 0.

    With more than eight methods the reference and the most accurate ones under synthetic shift have a colour,
    the others are grey. None when no set has a severity.
    """
    graded = [s for s in comparison.shifts if s.key.kind == SYNTHETIC and s.key.severity > 0]
    names = sorted({s.key.evalset for s in graded})[:_PANEL_LIMIT]
    if not names:
        return None
    methods = [r.method for r in comparison.rows]
    named = _told_apart(comparison)
    look = looks(methods)
    score = score_name(comparison.metric)
    clean = {r.method: r.synthetic_id_accuracy.value for r in comparison.rows}
    clean |= {r.method: r.id_accuracy.value for r in comparison.rows if not math.isfinite(clean[r.method])}
    columns = min(4, len(names))
    lines = math.ceil(len(names) / columns)
    curves: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for s in graded:
        curves.setdefault((s.method, s.key.evalset), []).append((s.key.severity, s.accuracy.value))

    def paint(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, name in zip(grid, names, strict=False):
            for m in sorted(methods, key=lambda m: m in named):  # the grey ones below
                x, y = zip((0, clean[m]), *sorted(curves.get((m, name), [])), strict=True)
                style = look[m]
                plain: dict[str, Any] = {"color": INK, "alpha": 0.25, "lw": 0.8}
                colourful: dict[str, Any] = {"color": style.colour, "ls": style.dash, "marker": style.marker}
                ax.plot(x, 100 * np.array(y), label=clip(m), ms=4, **(colourful if m in named else plain))
            ax.set_title(clip(name))
            ax.set_xticks(range(6))
        for ax in grid[len(names) :]:
            ax.set_visible(False)
        figure.supxlabel("severity (0: the same samples unshifted)", fontsize=10)
        figure.supylabel(f"{score}, %", fontsize=10)
        handles, _ = grid[0].get_legend_handles_labels()
        drawn = dict(zip(sorted(methods, key=lambda m: m in named), handles, strict=True))
        shown = [drawn[m] for m in methods if m in named]
        figure.legend(shown, [clip(m) for m in methods if m in named], loc="outside upper center", ncols=4)

    label = (
        f"{score_title(comparison.metric)} over severity for {', '.join(names)}, one line for each of "
        f"{', '.join(methods)}; the table of shifts holds the numbers."
    )
    return Drawing("severity", label, (1.2 + 2.1 * max(columns, 2), 1.3 + 1.9 * lines), paint)


def _told_apart(comparison: Comparison) -> set[str]:
    """The methods that get a colour: all, or the reference and the best under synthetic shift."""
    rows = comparison.rows
    if len(rows) <= LINES:
        return {r.method for r in rows}
    best = sorted(rows[1:], key=lambda r: -np.nan_to_num(r.synthetic_accuracy.value))
    return {rows[0].method, *(r.method for r in best[: LINES - 1])}


def shift_map(comparison: Comparison) -> Drawing:
    """Heat map of scores over shifts (severities averaged) and methods; the longer list runs downwards.

    A line parts the kinds: ID, natural, synthetic and adversarial shifts are not one list.
    """
    methods = [r.method for r in comparison.rows]
    names = sorted({(KINDS.index(s.key.kind), s.key.evalset) for s in comparison.shifts})
    cells = np.array([[_mean(comparison.shifts, m, name) for m in methods] for _, name in names])
    parts = [i for i in range(1, len(names)) if names[i][0] != names[i - 1][0]]
    across, down = methods, [n for _, n in names]
    turned = len(methods) > _ACROSS
    if turned:
        across, down, cells = down, across, cells.T

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
        ax.set_xticks(
            np.arange(len(across)) + 0.5,
            [clip(a) for a in across],
            rotation=40,
            ha="left",
            rotation_mode="anchor",
        )
        ax.xaxis.tick_top()
        ax.set_yticks(np.arange(len(down)) + 0.5, [clip(d) for d in down])
        ax.invert_yaxis()
        for at in parts:
            (ax.axvline if turned else ax.axhline)(at, color=INK, lw=2.5)
        ax.grid(visible=False)
        ax.tick_params(length=0)
        for side in ("left", "bottom"):
            ax.spines[side].set_visible(False)

    score = score_title(comparison.metric)
    label = f"{score} in percent of {', '.join(methods)} on {', '.join(n for _, n in names)}."
    wide = 2.4 + (0.95 if len(across) <= 8 else 0.62) * len(across)
    return Drawing("shift-map", label, (wide, 1.4 + 0.3 * len(down)), paint)


def _mean(shifts: Sequence[ShiftRow], method: str, name: str) -> float:
    mine = [s.accuracy.value for s in shifts if s.method == method and s.key.evalset == name]
    return float(np.mean(mine))


def arms(x: Interval) -> Any:
    """Lengths of the two whiskers in percent, (2, 1); none where the interval is not known."""
    if not x.known:
        return None
    return 100 * np.array([[max(0.0, x.value - x.low)], [max(0.0, x.high - x.value)]])


def _whisker(ax: Any, x: Interval, y: float, look: Look) -> None:
    if math.isfinite(x.value):
        ax.errorbar(100 * x.value, y, xerr=arms(x), color=look.colour, marker=look.marker, capsize=3)
