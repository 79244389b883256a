"""Compares methods over their runs: one row a method, one row a method and shift, and a verdict each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from tether.errors import RequestError, nearest
from tether.evaluation.bootstrap import RESAMPLES
from tether.evaluation.effective import Line
from tether.evaluation.headline import headline_kind, is_seen, kind_weights
from tether.report.corruption_rows import CorruptionTable, corruption_table
from tether.report.effective_rows import STANDARD, reference_line
from tether.report.measured import MethodScores, measure
from tether.report.method_rows import Row, method_row
from tether.report.names import base_name
from tether.report.paired import clean_parts
from tether.report.records import Run
from tether.report.runs import check_comparable
from tether.report.shift_rows import ShiftRow, shift_rows

__all__ = ["Comparison", "Row", "compare_runs"]


@dataclass(frozen=True)
class Comparison:
    """Methods side by side.

    Attributes:
        reference: the method that the others are measured against.
        metric: what the scores are, "accuracy" or another headline metric.
        ood_kind: what the headline OOD is made of, "natural" or "synthetic".
        rows: one a method; the reference first, the others as given.
        shifts: accuracy of each method on each set, with differences from the reference.
        classes: class names by label.
        resamples: of the bootstrap.
        problems: what the reader should know about the runs, one sentence each.
        line: of ordinary models, for effective robustness, or the reason why there is none.
        corruption: mCE or nCE of each method.
        seen: names of shifts that some method saw in training.
    """

    reference: str
    metric: str
    ood_kind: str
    rows: tuple[Row, ...]
    shifts: tuple[ShiftRow, ...]
    classes: tuple[str, ...]
    resamples: int
    problems: tuple[str, ...]
    line: Line
    corruption: CorruptionTable
    seen: tuple[str, ...]


def compare_runs(
    runs: Sequence[Run],
    reference: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    metric: str | None = None,
    standard: Collection[str] = STANDARD,
) -> Comparison:
    """Compare the methods of these runs on the examples they share.

    Args:
        runs: any number of methods and seeds, evaluated on the same sets.
        reference: a method's name; by default "finetune" where present, else the first run's method.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        metric: of the headline; None takes the runs' `evaluate.metric`.
        standard: methods without a robustness intervention, through which the line of effective robustness is
            drawn.

    Raises:
        RequestError: for an unknown reference or metric, or runs that cannot stand side by side.

    Example:
        >>> comparison = compare_runs(read_runs(find_runs(Path("runs"))))  # doctest: +SKIP
        >>> print(comparison.rows[0].verdict)  # doctest: +SKIP
    """
    check_comparable(runs)
    methods = tuple(dict.fromkeys(run.method for run in runs))
    if reference is None:
        reference = next((m for m in methods if base_name(m) == "finetune"), methods[0])
    if reference not in methods:
        raise RequestError(
            f"compare: the reference {reference!r} is not among the runs; {nearest(reference, methods)}"
        )
    metric = metric or _metric(runs)
    scores = measure(runs, resamples, seed, metric)
    base = next(m for m in scores if m.method == reference)
    ordered = (base, *(m for m in scores if m is not base))
    kind = headline_kind(runs[0].keys)
    line = reference_line(scores, kind, metric, standard)
    corruption = corruption_table(ordered, base, metric)
    return Comparison(
        reference=reference,
        metric=metric,
        ood_kind=kind,
        rows=tuple(method_row(m, base, line, corruption.of(m.method), metric) for m in ordered),
        shifts=shift_rows(ordered, base),
        classes=runs[0].classes,
        resamples=resamples,
        problems=(
            *_seen_in_training(scores),
            *_part_of_id(runs[0]),
            *_mixed_configs(scores),
            *(p for run in runs for p in run.problems),
        ),
        line=line.line,
        corruption=corruption,
        seen=tuple(sorted(base.seen)),
    )


def _metric(runs: Sequence[Run]) -> str:
    """What the first run's config names; accuracy where it names none."""
    given = runs[0].config.get("evaluate")
    return str(given.get("metric") or "accuracy") if isinstance(given, dict) else "accuracy"


def _seen_in_training(scores: Sequence[MethodScores]) -> list[str]:
    """Which tested shifts training saw, and that they are in no headline."""
    keys, seen = scores[0].keys, scores[0].seen
    names = sorted({k.evalset for k in keys if is_seen(k, seen)})
    if not names:
        return []
    by = [m.method for m in scores if any(set(names) & (run.seen or frozenset()) for run in m.runs)]
    said = f"{', '.join(names)}: seen in training by {', '.join(by)}, and so in no headline number"
    if np.isnan(kind_weights(keys, headline_kind(keys), seen)).any():
        said += "; no shifted set is left for a headline"
    return [said]


def _part_of_id(run: Run) -> list[str]:
    """Which shifted sets hold only a part of the ID test examples, and what their gaps are against."""
    parts = clean_parts(run.sets)
    out = []
    for part, rows in enumerate(parts.rows):
        names = dict.fromkeys(k.evalset for k, of in zip(run.keys, parts.part_of, strict=True) if of == part)
        whole = len(run.sets[parts.home or 0].labels)
        out.append(
            f"{', '.join(names)}: {len(rows)} of the {whole} ID test samples (evaluate.limit); their gaps "
            "are against the ID score on the same samples"
        )
    return out


def _mixed_configs(scores: Sequence[MethodScores]) -> list[str]:
    """Seeds of one method that were not run with one configuration: their mean would mix two methods."""
    out = []
    for m in scores:
        settings = [{k: v for k, v in run.config.items() if k not in ("seed", "output")} for run in m.runs]
        if odd := sorted({k for s in settings for k in {*s, *settings[0]} if s.get(k) != settings[0].get(k)}):
            out.append(
                f"{m.method}: its seeds were run with different {', '.join(odd)}; their mean mixes them"
            )
    return out
