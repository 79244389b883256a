"""Pictures of methods as points: OOD against training cost, OOD against ID, and the paths of mu."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tether.evaluation.headline_metric import score_name
from tether.report.comparison import Comparison, Row
from tether.report.curves import sweep_of
from tether.report.frontier import front
from tether.report.plots import arms
from tether.report.records import Run
from tether.report.svg import INK, Drawing, Look, clip, looks
from tether.report.tables import seconds

_DURATIONS = (
    *(0.1, 1, 3, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800),
    *(3600 * h for h in (1, 2, 5, 10, 24, 72, 240)),
)
_COLUMN = 16  # entries of a legend in one column
_EDGE: dict[str, Any] = {"markeredgecolor": INK, "markeredgewidth": 0.5}


def pareto_plot(comparison: Comparison) -> Drawing | None:
    """OOD score against all that training costs, with the front (after document 003, figure 1).

    A method that trained nothing stands at the left edge. None when no run says what it cost.
    """
    rows = [r for r in comparison.rows if math.isfinite(cost(r)) and math.isfinite(r.ood_accuracy.value)]
    if not rows:
        return None
    look = looks([r.method for r in comparison.rows])
    paid = [cost(r) for r in rows if cost(r) > 0]
    nothing = min(paid, default=1.0) / 3  # where a logarithmic axis shows the zero it has not
    x = [cost(r) or nothing for r in rows]
    best = front([cost(r) for r in rows], [r.ood_accuracy.value for r in rows])

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.set_xscale("log")
        _front(ax, [(x[i], 100 * rows[i].ood_accuracy.value) for i in best])
        for at, r in zip(x, rows, strict=True):
            _point(ax, at, 100 * r.ood_accuracy.value, look[r.method], r.method, yerr=arms(r.ood_accuracy))
        for i in best:
            spot = (x[i], 100 * rows[i].ood_accuracy.value)
            ax.annotate(clip(rows[i].method), spot, (5, 5), textcoords="offset points", fontsize=8)
        _duration_ticks(ax, min(paid, default=1.0), max(x), nothing if len(paid) < len(rows) else None)
        ax.set_xlabel("training, with teachers and choosing (logarithmic)")
        ax.set_ylabel(f"OOD {score_name(comparison.metric)} ({comparison.ood_kind}), %")
        _legend(figure, len(rows) + 1)

    on_front = ", ".join(rows[i].method for i in best)
    label = (
        f"OOD {score_name(comparison.metric)} against training cost. On the front: {on_front}. "
        + "; ".join(f"{r.method}: {seconds(cost(r))}, {100 * r.ood_accuracy.value:.1f}%" for r in rows)
    )
    return Drawing("pareto", label, _size(len(rows) + 1), paint)


def cost(row: Row) -> float:
    """Seconds of training, of its teachers and of choosing; NaN where a run does not say."""
    return row.own_seconds + row.teacher_seconds


def id_ood_plot(comparison: Comparison) -> Drawing:
    """ID against OOD score with the diagonal, where a shift is free, and the line of ordinary models."""
    rows, score = comparison.rows, score_name(comparison.metric)
    look = looks([r.method for r in rows])
    line = comparison.line

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for r in rows:
            x, y = r.id_accuracy, r.ood_accuracy
            if math.isfinite(x.value) and math.isfinite(y.value):
                bars = {"xerr": arms(x), "yerr": arms(y)}
                _point(ax, 100 * x.value, 100 * y.value, look[r.method], r.method, **bars)
        ends = [*ax.get_xlim(), *ax.get_ylim()]
        ax.axline((min(ends), min(ends)), slope=1, color=INK, lw=0.8, ls=":", label="no gap")
        if line.fitted:
            inside = np.linspace(line.lowest, line.highest, 40)
            expected = [100 * line.expected(x) for x in inside]
            ax.plot(100 * inside, expected, color=INK, lw=1, ls="--", label="ordinary models (fit)")
        ax.set_xlabel(f"ID {score}, %")
        ax.set_ylabel(f"OOD {score} ({comparison.ood_kind}), %")
        _legend(figure, len(rows) + 2)

    fitted = (
        f" Line of ordinary models: logit OOD = {line.slope:.2f} logit ID + {line.intercept:.2f}."
        if line.fitted
        else ""
    )
    label = f"ID {score} against OOD {score}.{fitted} " + "; ".join(
        f"{r.method}: {100 * r.id_accuracy.value:.1f}%, {100 * r.ood_accuracy.value:.1f}%" for r in rows
    )
    return Drawing("id-ood", label, _size(len(rows) + 2), paint)


def mu_paths_plot(runs: Sequence[Run]) -> Drawing | None:
    """Validation accuracy, OOD against ID, as mu goes from 0 to 1: a path a method, of its first such seed.

    None when no run kept a sweep with both accuracies.
    """
    paths: dict[str, Any] = {}
    for run in runs:
        sweep = sweep_of(run)
        if sweep is not None and np.isfinite(sweep.id_val + sweep.ood_val).sum() > 1:
            paths.setdefault(run.method, sweep)
    if not paths:
        return None
    look = looks(list(dict.fromkeys(run.method for run in runs)))

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for method, sweep in paths.items():
            style = look[method]
            x, y = 100 * sweep.id_val, 100 * sweep.ood_val
            ax.plot(x, y, color=style.colour, ls=style.dash, marker=".", ms=4, label=clip(method))
            ax.plot(x[0], y[0], marker="o", color="none", ms=8, markeredgecolor=style.colour)
            ax.plot(x[-1], y[-1], marker="s", color="none", ms=8, markeredgecolor=style.colour)
            for i in np.flatnonzero(sweep.chosen):
                ax.plot(x[i], y[i], marker="*", color=style.colour, ms=13, **_EDGE)
        for marker, text in (("o", "mu = 0: before training"), ("s", "mu = 1: after"), ("*", "chosen")):
            filled = INK if marker == "*" else "none"
            ax.plot([], [], ls="", marker=marker, color=filled, markeredgecolor=INK, label=text)
        ax.set_xlabel("ID validation accuracy, %")
        ax.set_ylabel("OOD validation accuracy, %")
        _legend(figure, len(paths) + 3)

    label = (
        f"Paths of {', '.join(paths)} from before training (mu = 0) to after (mu = 1), on validation sets: "
        "ID against OOD accuracy, the chosen mu as a star."
    )
    return Drawing("mu-paths", label, _size(len(paths) + 3), paint)


def _front(ax: Any, points: Sequence[tuple[float, float]]) -> None:
    """The front as stairs: to the right of a point nothing cheaper is better, until the next."""
    if points:
        x, y = zip(*points, strict=True)
        ax.step(x, y, where="post", color=INK, lw=1, ls="--", label="front")


def _point(ax: Any, x: float, y: float, look: Look, name: str, **bars: Any) -> None:
    ax.errorbar(
        x,
        y,
        color=look.colour,
        marker=look.marker,
        ms=7,
        ls="",
        elinewidth=1,
        label=clip(name),
        **_EDGE,
        **bars,
    )


def _duration_ticks(ax: Any, low: float, high: float, nothing: float | None) -> None:
    """Durations that people know at a logarithmic axis, about six, and "none" for the zero's place."""
    gap = max(1.5, (high / low) ** (1 / 6))  # six fit beside each other
    known: list[float] = []
    for s in _DURATIONS:
        if low / 1.3 <= s <= high * 1.3 and (not known or s >= gap * known[-1]):
            known.append(s)
    known = known or [low]
    zero = [] if nothing is None else [(nothing, "none")]
    places, names = zip(*zero, *((s, seconds(s)) for s in known), strict=True)
    ax.set_xticks(places, names)
    ax.set_xticks([], minor=True)


def _legend(figure: Figure, entries: int) -> None:
    figure.legend(loc="outside right upper", ncols=1 if entries <= _COLUMN else 2, fontsize=9)


def _size(entries: int) -> tuple[float, float]:
    """Inches that a figure needs with its legend beside it."""
    lines = entries if entries <= _COLUMN else math.ceil(entries / 2)
    return 7.6 if entries <= _COLUMN else 10.4, max(4.2, 0.8 + 0.2 * lines)
