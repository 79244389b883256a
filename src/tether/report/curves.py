"""Pictures of single runs: losses and lambdas over steps, and the sweep of a merge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tether.report.records import Run
from tether.report.svg import INK, draw, looks

_POINTS = 150  # more would weigh on the page without being visible


def loss_plot(run: Run, name: str) -> str | None:
    """Loss and its terms over steps, and the lambdas beside them; None without a usable log.

    Args:
        run: whose log is drawn.
        name: prefix of the picture's element ids.
    """
    log = _thin([row for row in run.log if _number(row, "step") is not None])
    if not log:
        return None
    losses = {"loss": _series(log, "loss"), **_nested(log, "terms")}
    lambdas = _nested(log, "weights")
    steps = np.array([float(row["step"]) for row in log])

    def paint(figure: Figure) -> None:
        panels = [("loss and terms", losses)] + ([("lambda", lambdas)] if lambdas else [])
        for ax, (title, series) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            style = looks([s for s in series if s != "loss"])
            for key, values in series.items():
                if key == "loss":
                    ax.plot(steps, values, color=INK, lw=1.6, label=key)
                else:
                    ax.plot(steps, values, color=style[key].colour, ls=style[key].dash, lw=1.2, label=key)
            ax.set_title(title)
            ax.set_xlabel("step")
            ax.legend(fontsize=8)

    first, last = _ends(losses["loss"])
    label = f"{run.name}: loss from {first:.3g} to {last:.3g} over {steps[-1]:.0f} steps."
    return draw(name, label, (9.0 if lambdas else 5.0, 2.8), paint)


def merge_plot(run: Run, name: str) -> str | None:
    """ID and OOD validation accuracy over mu, the chosen mu marked; None when nothing was merged.

    Args:
        run: whose sweep is drawn.
        name: prefix of the picture's element ids.
    """
    rows = sorted((r for r in run.merge if _number(r, "mu") is not None), key=lambda r: float(r["mu"]))
    if not rows:
        return None
    mu = np.array([float(r["mu"]) for r in rows])
    chosen = [float(r["mu"]) for r in rows if r.get("chosen") is True]
    curves = {"ID validation": _series(rows, "id_val"), "OOD validation": _series(rows, "ood_val")}
    style = looks(list(curves))

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for key, values in curves.items():
            if np.isfinite(values).any():
                look = style[key]
                ax.plot(
                    mu, 100 * values, color=look.colour, ls=look.dash, marker=look.marker, ms=4, label=key
                )
        for m in chosen:
            ax.axvline(m, color=INK, lw=0.8, ls=":", label=f"chosen: {m:g}")
        ax.set_xlabel("mu (0: before training, 1: after)")
        ax.set_ylabel("accuracy, %")
        ax.legend(fontsize=8)

    picked = f", chosen {', '.join(f'{m:g}' for m in chosen)}" if chosen else ""
    return draw(name, f"{run.name}: accuracy over the merge weight mu{picked}.", (5.5, 3.0), paint)


def _thin(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Evenly spaced rows, first and last kept."""
    if len(rows) <= _POINTS:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, _POINTS).round().astype(int)]


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> Any:
    return np.array([np.nan if (v := _number(row, key)) is None else v for row in rows])


def _nested(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    """The series of each name under `key`, in the order in which the names appear."""
    inner = [value if isinstance(value := row.get(key), Mapping) else {} for row in rows]
    return {name: _series(inner, name) for name in dict.fromkeys(n for row in inner for n in row)}


def _ends(values: Any) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known[0]), float(known[-1])) if len(known) else (math.nan, math.nan)
