"""Pictures of single runs: losses, lambdas and validation over steps, and the sweep of a merge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tether.evaluation.metrics import Floats
from tether.report.records import Run
from tether.report.svg import INK, Drawing, clip, looks

_POINTS = 120  # more would weigh on the page without being visible
_PANEL = (4.3, 2.8)  # inches


@dataclass(frozen=True)
class Sweep:
    """The merge of a run over mu, ascending: all (M,), accuracies on validation as fractions."""

    mu: Floats
    id_val: Floats
    ood_val: Floats
    chosen: NDArray[np.bool_]


def sweep_of(run: Run) -> Sweep | None:
    """The usable rows of `merge.jsonl`; None when there are none."""
    rows = sorted((r for r in run.merge if _number(r, "mu") is not None), key=lambda r: float(r["mu"]))
    if not rows:
        return None
    chosen = np.array([r.get("chosen") is True for r in rows])
    return Sweep(_series(rows, "mu"), _series(rows, "id_val"), _series(rows, "ood_val"), chosen)


def loss_plot(run: Run, name: str) -> Drawing | None:
    """Loss and its terms over steps, the lambdas, and validation where it was looked at; None without a log.

    A lambda is drawn as it counted: the method's weight times the controller's factor.

    Args:
        run: whose log is drawn.
        name: prefix of the picture's element ids.
    """
    log = _thin([row for row in run.log if _number(row, "step") is not None])
    if not log:
        return None
    steps = _series(log, "step")
    losses = {"loss": _series(log, "loss"), **_nested(log, "terms")}
    panels = [("loss and terms", steps, losses)]
    weights = _nested(log, "weights")
    if len(weights) > 1 or any(np.ptp(w[np.isfinite(w)]) for w in weights.values() if np.isfinite(w).any()):
        panels.append(("lambda", steps, weights))
    looked = [row for row in run.validation if _number(row, "step") is not None]
    scores = {name: 100 * _series(looked, key) for name, key in (("ID", "id_val"), ("OOD", "ood_val"))}
    if any(np.isfinite(v).any() for v in scores.values()):
        panels.append(("validation accuracy, %", _series(looked, "step"), scores))

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (title, x, series) in zip(axes, panels, strict=True):
            style = looks([s for s in series if s != "loss"])
            for key, values in series.items():
                look = style.get(key)
                if look is None:
                    ax.plot(x, values, color=INK, lw=1.6, label=key)
                elif np.isfinite(values).any():
                    few = len(x) <= 20
                    ax.plot(
                        x,
                        values,
                        color=look.colour,
                        ls=look.dash,
                        lw=1.2,
                        marker=look.marker if few else "",
                        ms=4,
                        label=clip(key),
                    )
            ax.set_title(title)
            ax.set_xlabel("step")
            ax.legend(fontsize=8)

    first, last = _ends(losses["loss"])
    label = f"{run.name}: loss from {first:.3g} to {last:.3g} over {steps[-1]:.0f} steps."
    wide = _PANEL[0] * len(panels) + 0.4
    return Drawing(name, label, (wide, _PANEL[1]), paint)


def decisions(run: Run) -> list[tuple[int, str, str]]:
    """What a controller of the lambdas changed: (step, its reason, factors as "name x0.8")."""
    out: list[tuple[int, str, str]] = []
    last: Any = None
    for row in run.validation:
        step, reason, factors = _number(row, "step"), row.get("reason"), row.get("factors")
        if step is None or not isinstance(reason, str) or not isinstance(factors, Mapping) or factors == last:
            continue
        last = factors
        changed = ", ".join(f"{k} ×{v:.3g}" for k, v in factors.items() if isinstance(v, int | float))
        out.append((int(step), reason, changed))
    return out


def merge_plot(run: Run, name: str) -> Drawing | None:
    """ID and OOD validation accuracy over mu, the chosen mu marked; None when nothing was merged.

    Args:
        run: whose sweep is drawn.
        name: prefix of the picture's element ids.
    """
    sweep = sweep_of(run)
    if sweep is None:
        return None
    curves = {"ID validation": sweep.id_val, "OOD validation": sweep.ood_val}
    style = looks(list(curves))
    chosen = [float(m) for m in sweep.mu[sweep.chosen]]

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for key, values in curves.items():
            if np.isfinite(values).any():
                look = style[key]
                ax.plot(
                    sweep.mu,
                    100 * values,
                    color=look.colour,
                    ls=look.dash,
                    marker=look.marker,
                    ms=4,
                    label=key,
                )
        for m in chosen:
            ax.axvline(m, color=INK, lw=0.8, ls=":", label=f"chosen: {m:g}")
        ax.set_xlabel("mu (0: before training, 1: after)")
        ax.set_ylabel("accuracy, %")
        ax.legend(fontsize=8)

    picked = f", chosen {', '.join(f'{m:g}' for m in chosen)}" if chosen else ""
    return Drawing(name, f"{run.name}: accuracy over the merge weight mu{picked}.", (5.5, 3.0), paint)


def _thin(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Evenly spaced rows, first and last kept."""
    if len(rows) <= _POINTS:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, _POINTS).round().astype(int)]


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> Floats:
    return np.array([np.nan if (v := _number(row, key)) is None else v for row in rows])


def _nested(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, Floats]:
    """The series of each name under `key`, in the order in which the names appear."""
    inner = [value if isinstance(value := row.get(key), Mapping) else {} for row in rows]
    return {name: _series(inner, name) for name in dict.fromkeys(n for row in inner for n in row)}


def _ends(values: Floats) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known[0]), float(known[-1])) if len(known) else (math.nan, math.nan)
