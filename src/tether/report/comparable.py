"""What of several runs may stand side by side; what may not is left out and said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tether.evaluation.headline import SetKey
from tether.report.records import Predictions, Run

ENOUGH = 0.9  # of a set's examples must be in every run, or the set is not the same one


def keep_comparable(runs: Sequence[Run]) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """The largest part of the runs that was measured on the same things, and sentences on the rest.

    Runs with other classes than most, or with another ID test set, are left out; of equally many the first
    count. So is a run that lacks over half of the evaluation sets. Of what is left the evaluation sets that
    all runs have are kept, each with the examples that all have with the same label, if these are at least
    nine of ten; an example that one run has no usable prediction for is so left out of all.

    Args:
        runs: at least one.
    """
    notes: list[str] = []
    runs = _with_names(runs)
    runs = _like_most(runs, lambda run: run.classes, _other_classes, notes)
    runs = _like_most(runs, lambda run: _id_signature(run, runs), _other_data, notes)
    most = max(len(run.keys) for run in runs)
    few = [run for run in runs if len(run.keys) * 2 < most]
    notes += [
        f"{run.folder}: left out: it was tested on {len(run.keys)} of {most} evaluation sets; "
        "run it again with the others' evaluate settings"
        for run in few
    ]
    runs = [run for run in runs if run not in few]
    keys = [key for key in runs[0].keys if all(key in run.keys for run in runs)]
    shared = {key: _shared(key, runs, notes) for key in keys}
    kept = [key for key in keys if shared[key] is not None]
    gone = sorted({str(key) for run in runs for key in run.keys if key not in kept})
    if gone:
        listed = ", ".join(gone[:6]) + (f" and {len(gone) - 6} more" if len(gone) > 6 else "")
        notes.append(f"evaluation sets that not all runs share are left out: {listed}")
    return tuple(_cut(run, kept, shared) for run in runs), tuple(notes)


def _with_names(runs: Sequence[Run]) -> list[Run]:
    """A run without class names (they are then numbers, which it says) takes those of the others."""

    def nameless(run: Run) -> bool:
        return run.classes == tuple(str(i) for i in range(len(run.classes)))

    named = [run.classes for run in runs if not nameless(run)]
    found = []
    for run in runs:
        fitting = [classes for classes in named if nameless(run) and len(classes) == len(run.classes)]
        found.append(replace(run, classes=fitting[0]) if fitting else run)
    return found


def _like_most(
    runs: Sequence[Run],
    of: Callable[[Run], Hashable],
    say: Callable[[Run, Run], str],
    notes: list[str],
) -> list[Run]:
    """The runs that agree with most; of equally many groups the first one's."""
    values = [of(run) for run in runs]
    usual = Counter(values).most_common(1)[0][0]
    first = runs[values.index(usual)]
    notes += [say(run, first) for run, value in zip(runs, values, strict=True) if value != usual]
    return [run for run, value in zip(runs, values, strict=True) if value == usual]


def _other_classes(run: Run, first: Run) -> str:
    ours, theirs = (list(r.classes)[:6] for r in (run, first))
    order = " in another order" if sorted(run.classes) == sorted(first.classes) else ""
    return f"{run.folder}: left out: its classes are {ours}, those of {first.folder} are {theirs}{order}"


def _other_data(run: Run, first: Run) -> str:
    return (
        f"{run.folder}: left out: it was tested on other ID examples or labels than {first.folder}; compare "
        "runs on one data set"
    )


def _id_set(run: Run) -> Predictions | None:
    return next((s for s in run.sets if s.key.kind == "id"), None)


def _id_signature(run: Run, runs: Sequence[Run]) -> int:
    """The position of the first run whose ID test set is the same as this one's, but for a few examples."""
    mine = _id_set(run)
    for i, other in enumerate(runs):
        theirs = _id_set(other)
        if mine is None or theirs is None:
            if mine is theirs:
                return i
        elif len(_agreed([mine, theirs])) >= ENOUGH * max(len(mine.ids), len(theirs.ids)):
            return i
    raise AssertionError("a run's ID set is the same as its own")


def _agreed(sets: Sequence[Predictions]) -> NDArray[np.int64]:
    """Ids that all sets have with one label, sorted."""
    ids, labels = sets[0].ids, sets[0].labels
    for other in sets[1:]:
        if np.array_equal(ids, other.ids) and np.array_equal(labels, other.labels):
            continue
        both, i, j = np.intersect1d(ids, other.ids, return_indices=True)
        same = labels[i] == other.labels[j]
        ids, labels = both[same], labels[i][same]
    return ids


def _shared(key: SetKey, runs: Sequence[Run], notes: list[str]) -> NDArray[np.int64] | None:
    """The ids of this set that every run has; None when these are too few for one set."""
    sets = [next(s for s in run.sets if s.key == key) for run in runs]
    ids = _agreed(sets)
    most = max(len(s.ids) for s in sets)
    if len(ids) < ENOUGH * most:
        return None
    if len(ids) < most:
        notes.append(
            f"{key}: {most - len(ids)} of {most} examples are left out, since not every run has a usable "
            "prediction for them with the same label"
        )
    return ids


def _cut(run: Run, keys: Sequence[SetKey], shared: dict[SetKey, NDArray[np.int64] | None]) -> Run:
    sets = []
    for s in run.sets:
        ids = shared.get(s.key)
        if s.key not in keys or ids is None:
            continue
        if len(ids) < len(s.ids):
            rows = np.flatnonzero(np.isin(s.ids, ids))
            s = replace(s, ids=s.ids[rows], labels=s.labels[rows], probabilities=s.probabilities[rows])
        sets.append(s)
    unchanged = len(sets) == len(run.sets) and all(a is b for a, b in zip(sets, run.sets, strict=True))
    return run if unchanged else replace(run, sets=tuple(sets))
