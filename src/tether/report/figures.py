"""Every figure of a report by name: for the page, and as files for slides and papers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tether.progress import bar
from tether.report.calibration import calibration_plot
from tether.report.comparison import Comparison
from tether.report.curves import loss_plot, merge_plot
from tether.report.mistakes import confusion_plot
from tether.report.plots import intervals_plot, severity_plot, shift_map
from tether.report.records import Run
from tether.report.scatter import id_ood_plot, mu_paths_plot, pareto_plot
from tether.report.svg import Drawing


def figures_of(comparison: Comparison, runs: Sequence[Run]) -> dict[str, Drawing]:
    """The figures over all methods, by name; one that has nothing to show is left out."""
    drawn = (
        intervals_plot(comparison),
        pareto_plot(comparison),
        id_ood_plot(comparison),
        mu_paths_plot(runs),
        severity_plot(comparison),
        shift_map(comparison),
        calibration_plot(comparison, runs),
    )
    return {d.name: d for d in drawn if d is not None}


def confusions_of(comparison: Comparison, runs: Sequence[Run]) -> list[tuple[str, Drawing]]:
    """The confusion matrices, (method, figure) each."""
    drawn = (
        (r.method, confusion_plot(r.method, comparison, runs, f"confusion{i}"))
        for i, r in enumerate(comparison.rows)
    )
    return [(method, d) for method, d in drawn if d is not None]


def curves_of(runs: Sequence[Run]) -> list[tuple[Run, list[Drawing]]]:
    """The curves of each run that kept some: the first seed of every method before the second of any."""
    turn: dict[str, int] = {}
    order = []
    for i, run in enumerate(runs):
        order.append((turn.setdefault(run.method, 0), i, run))
        turn[run.method] += 1
    out = []
    for _, i, run in sorted(order, key=lambda o: o[:2]):
        drawn = [d for d in (loss_plot(run, f"loss{i}"), merge_plot(run, f"merge{i}")) if d is not None]
        if drawn:
            out.append((run, drawn))
    return out


def write_figures(comparison: Comparison, runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write every figure on white, as SVG and PNG, into `folder`.

    Files are named after what they show: pareto.svg, confusion-rdft.png, loss-rdft-seed0.svg.

    Raises:
        RequestError: when the folder cannot be written.

    Example:
        >>> write_figures(comparison, runs, Path("figures"))  # doctest: +SKIP
    """
    named = list(figures_of(comparison, runs).items())
    named += [(f"confusion-{_slug(method)}", d) for method, d in confusions_of(comparison, runs)]
    for run, drawn in curves_of(runs):
        named += [(f"{_kind(d)}-{_slug(run.method)}-seed{run.seed}", d) for d in drawn]
    written: list[Path] = []
    with bar("figures", len(named)) as progress:
        for name, drawing in named:
            written += drawing.save(folder, name)
            progress.advance()
    return written


def _kind(drawing: Drawing) -> str:
    return drawing.name.rstrip("0123456789")


def _slug(name: str) -> str:
    """A name that any file system takes, and that leads nowhere."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:60] or "method"
