"""Whether a probability can be taken at its word: reliability of each method, ID and under shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from tether.evaluation.headline import ID, is_seen
from tether.evaluation.metrics import Floats, confidence_bins, ece
from tether.report.comparison import Comparison
from tether.report.records import Predictions, Run
from tether.report.svg import INK, Drawing, clip, looks

BINS = 15  # as the ECE's, METHODS 1.12
_SMALLEST_BIN = 5  # fewer examples say nothing about a share


@dataclass(frozen=True)
class Reliability:
    """Accuracy by confidence over all examples of some sets.

    Attributes:
        confidence: (B,) mean probability of the top class in each bin that holds enough examples.
        accuracy: (B,) share of right answers there.
        count: (B,) examples there.
        ece: expected calibration error, the mean over seeds and sets, each counted equally.
    """

    confidence: Floats
    accuracy: Floats
    count: Floats
    ece: float


def reliability(sets: Sequence[Predictions], smallest: int = _SMALLEST_BIN) -> Reliability:
    """Reliability of these predictions, in 15 bins of equal width, closed on the right (METHODS 1.12).

    Args:
        sets: of one method: seeds and sets of one kind.
        smallest: a bin with fewer examples is not shown.

    Example:
        >>> reliability([p for run in mine for p in run.sets if p.key.kind == "id"])  # doctest: +SKIP
    """
    top = np.concatenate([np.asarray(s.probabilities, dtype=np.float64).max(axis=1) for s in sets])
    hit = np.concatenate([s.correct() for s in sets])
    which = confidence_bins(top, BINS)
    count = np.bincount(which, minlength=BINS).astype(np.float64)
    enough = count >= max(1, smallest)
    mean_top, mean_hit = (
        np.bincount(which, weights=v, minlength=BINS)[enough] / count[enough] for v in (top, hit)
    )
    error = float(np.mean([ece(s.probabilities, s.labels, BINS) for s in sets]))
    return Reliability(mean_top, mean_hit, count[enough], error)


def calibration_plot(comparison: Comparison, runs: Sequence[Run]) -> Drawing | None:
    """One small panel a method: accuracy against confidence, ID and OOD, the ECE of both in its legend.

    A shift that some method saw in training is left out, as it is of the headline.
    """
    kinds = {"ID": ID, "OOD": comparison.ood_kind}
    curves: dict[str, dict[str, Reliability]] = {}
    for row in comparison.rows:
        for name, kind in kinds.items():
            sets = [
                s
                for run in runs
                if run.method == row.method
                for s in run.sets
                if s.key.kind == kind and not is_seen(s.key, comparison.seen)
            ]
            if sets:
                curves.setdefault(row.method, {})[name] = reliability(sets)
    if not curves:
        return None
    columns = min(4, max(2, len(curves)))
    lines = math.ceil(len(curves) / columns)
    style = looks(list(kinds))

    def paint(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for ax, (method, found) in zip(grid, curves.items(), strict=False):
            ax.plot([0, 100], [0, 100], color=INK, lw=0.8, ls=":")
            for name, r in found.items():
                ax.plot(
                    100 * r.confidence,
                    100 * r.accuracy,
                    color=style[name].colour,
                    marker=style[name].marker,
                    ls=style[name].dash,
                    ms=4,
                    label=f"{name}, ECE {100 * r.ece:.1f}",
                )
            ax.set_title(clip(method))
            ax.set_xlim(0, 100)
            ax.set_ylim(0, 100)
            ax.legend(fontsize=8, loc="best", borderpad=0, handlelength=1.6)
        for ax in grid[len(curves) :]:
            ax.set_visible(False)
        figure.supxlabel("confidence, %", fontsize=10)
        figure.supylabel("accuracy, %", fontsize=10)

    label = "Accuracy against confidence. Expected calibration error in percent: " + "; ".join(
        f"{m}: " + ", ".join(f"{n} {100 * r.ece:.1f}" for n, r in found.items())
        for m, found in curves.items()
    )
    return Drawing("calibration", label, (0.8 + 2.4 * columns, 0.7 + 2.2 * lines), paint)
