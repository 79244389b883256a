"""Which classes a method takes for which: confusion matrices, and the weakest spots of every method."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tether.evaluation.groups import SMALLEST_GROUP, groups_of, judged_groups
from tether.evaluation.headline import ID, SetKey, is_seen
from tether.evaluation.metrics import Floats
from tether.report.comparison import Comparison
from tether.report.records import Run
from tether.report.svg import INK, Drawing, clip

LARGEST_MATRIX = 40  # classes; more cannot be read as a picture, and the weakest spots name what matters

Counts = NDArray[np.int64]


def confusion(runs: Sequence[Run], kind: str, seen: Collection[str] = ()) -> Counts:
    """Examples by true and predicted class over all sets of a kind and all runs, (C, C), rows true.

    Args:
        runs: of one method.
        kind: of the sets.
        seen: shifts that training saw; they are left out.

    Example:
        >>> confusion(runs, "id").sum()  # every ID example of every seed  # doctest: +SKIP
    """
    classes = runs[0].sets[0].probabilities.shape[1]
    total: Counts = np.zeros((classes, classes), dtype=np.int64)
    for run in runs:
        for s in run.sets:
            if s.key.kind == kind and not is_seen(s.key, seen):
                pair = s.labels * classes + s.probabilities.argmax(axis=1)
                total += np.bincount(pair, minlength=classes * classes).reshape(classes, classes)
    return total


@dataclass(frozen=True)
class Weakest:
    """A class or a set, its accuracy as a fraction, and how many examples stand behind it."""

    name: str
    accuracy: float
    n: int


@dataclass(frozen=True)
class Mistake:
    """A class taken for another: the share of its examples, as a fraction, and their number."""

    true: str
    predicted: str
    share: float
    n: int


@dataclass(frozen=True)
class Weaknesses:
    """The weakest spots of one method; None where nothing has 25 examples a seed, or nothing is wrong.

    Groups are those of the data (`data.subgroup`); None also where it has none.
    """

    method: str
    id_class: Weakest | None
    ood_class: Weakest | None
    ood_set: Weakest | None
    mistake: Mistake | None
    id_group: Weakest | None = None
    ood_group: Weakest | None = None


def weaknesses(comparison: Comparison, runs: Sequence[Run]) -> tuple[Weaknesses, ...]:
    """Of every method: its worst class and group ID and OOD, its worst OOD set, its commonest OOD mistake.

    Groups with fewer than 25 examples are passed over (METHODS 1.12); n counts examples of one seed.
    """
    out, kind, seen = [], comparison.ood_kind, comparison.seen
    for row in comparison.rows:
        mine = [run for run in runs if run.method == row.method]
        inside, shifted = confusion(mine, ID), confusion(mine, kind, seen)
        out.append(
            Weaknesses(
                row.method,
                _worst_class(inside, comparison.classes, len(mine)),
                _worst_class(shifted, comparison.classes, len(mine)),
                _worst_set(mine, kind, seen),
                _commonest(shifted, comparison.classes, len(mine)),
                _worst_group(mine, ID, ()),
                _worst_group(mine, kind, seen),
            )
        )
    return tuple(out)


def _worst_class(counts: Counts, classes: Sequence[str], seeds: int) -> Weakest | None:
    of_class = counts.sum(axis=1)
    large = np.flatnonzero(of_class >= SMALLEST_GROUP * seeds)
    if not len(large):
        return None
    recall = counts.diagonal()[large] / of_class[large]
    worst = int(large[recall.argmin()])
    return Weakest(classes[worst], float(recall.min()), int(of_class[worst]) // seeds)


def _worst_set(runs: Sequence[Run], kind: str, seen: Collection[str]) -> Weakest | None:
    scores: dict[SetKey, list[float]] = {}
    sizes: dict[SetKey, int] = {}
    for run in runs:
        for s in run.sets:
            if s.key.kind == kind and not is_seen(s.key, seen) and len(s.labels) >= SMALLEST_GROUP:
                scores.setdefault(s.key, []).append(float(s.correct().mean()))
                sizes[s.key] = len(s.labels)
    if not scores:
        return None
    key = min(scores, key=lambda k: float(np.mean(scores[k])))
    return Weakest(str(key), float(np.mean(scores[key])), sizes[key])


def _worst_group(runs: Sequence[Run], kind: str, seen: Collection[str]) -> Weakest | None:
    """The group of a set with the lowest accuracy, mean over seeds; None where no group has 25 examples."""
    scores: dict[tuple[str, str], list[float]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for run in runs:
        for s in run.sets:
            if s.key.kind != kind or is_seen(s.key, seen):
                continue
            for g in judged_groups(groups_of(s.labels, s.grouping, run.names)):
                scores.setdefault((str(s.key), g.name), []).append(float(s.correct()[g.inside].mean()))
                sizes[str(s.key), g.name] = g.n
    if not scores:
        return None
    worst = min(scores, key=lambda k: float(np.mean(scores[k])))
    name = worst[1] if len({key for key, _ in scores}) == 1 else f"{worst[0]}: {worst[1]}"
    return Weakest(name, float(np.mean(scores[worst])), sizes[worst])


def _commonest(counts: Counts, classes: Sequence[str], seeds: int) -> Mistake | None:
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return None
    true, predicted = divmod(int(wrong.argmax()), len(classes))
    n = int(wrong[true, predicted])
    share = n / int(counts[true].sum())
    return Mistake(classes[true], classes[predicted], share, round(n / seeds))


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix to read: (C, C) shares of each true class as fractions, NaN without an example."""

    method: str
    kind: str
    shares: Floats


def matrices(method: str, comparison: Comparison, runs: Sequence[Run]) -> list[Matrix]:
    """ID and OOD matrices of one method, its seeds pooled; none with more than forty classes."""
    if len(comparison.classes) > LARGEST_MATRIX:
        return []
    mine = [run for run in runs if run.method == method]
    found = ((kind, confusion(mine, kind, comparison.seen)) for kind in (ID, comparison.ood_kind))
    return [Matrix(method, kind, _shares(counts)) for kind, counts in found if counts.any()]


def confusion_plot(method: str, comparison: Comparison, runs: Sequence[Run], name: str) -> Drawing | None:
    """Shares of each true class by predicted class, ID beside OOD; None with more than forty classes.

    Args:
        method: whose mistakes are drawn, its seeds pooled.
        comparison: which says what OOD is.
        runs: all runs.
        name: prefix of the picture's element ids.
    """
    classes = [clip(c, 22) for c in comparison.classes]
    if len(classes) > LARGEST_MATRIX:
        return None
    mine = [run for run in runs if run.method == method]
    kinds = {"ID": ID, f"OOD ({comparison.ood_kind})": comparison.ood_kind}
    counted = {title: confusion(mine, kind, comparison.seen) for title, kind in kinds.items()}
    panels = {title: counts for title, counts in counted.items() if counts.any()}

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for k, (ax, (title, counts)) in enumerate(zip(axes, panels.items(), strict=True)):
            _matrix(ax, _shares(counts), title, classes, named=k == 0)

    told = "; ".join(
        f"{title}: {100 * counts.trace() / counts.sum():.1f}% on the diagonal"
        for title, counts in panels.items()
    )
    side = 1.2 + 0.24 * max(5, len(classes))
    label = f"{method}: predicted class by true class. {told}."
    return Drawing(name, label, (1.6 + side * len(panels), side + 1.2), paint)


def _shares(counts: Counts) -> Floats:
    """Rows that sum to 1; NaN where a class has no example."""
    of_class = counts.sum(axis=1, keepdims=True)
    out: Floats = np.full(counts.shape, np.nan)
    np.divide(counts, of_class, out=out, where=of_class > 0)
    return out


def _matrix(ax: Any, shares: Floats, title: str, classes: Sequence[str], named: bool) -> None:
    ax.imshow(100 * shares, cmap="cividis", vmin=0, vmax=100, interpolation="none")
    if len(classes) <= 20:
        for (i, j), value in np.ndenumerate(shares):
            if value >= 0.005:
                colour = "#000" if value > 0.5 else "#fff"
                ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=colour, fontsize=7)
    ticks = np.arange(len(classes))
    ax.set_xticks(ticks, classes, rotation=90, fontsize=8)
    ax.set_yticks(ticks, classes if named else [""] * len(classes), fontsize=8)
    ax.set_title(title)
    ax.set_xlabel("predicted")
    if named:
        ax.set_ylabel("true")
    ax.grid(visible=False)
    ax.tick_params(length=0, colors=INK)
