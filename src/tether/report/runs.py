"""Reads run folders and checks that they may be compared: all that the report knows comes through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tether.errors import RequestError
from tether.report.comparable import keep_comparable
from tether.report.names import named_by_difference
from tether.report.records import Run
from tether.report.run_files import (
    parse_config,
    read_about,
    read_classes,
    read_lines,
    read_mapping,
    read_optional_text,
    read_predictions,
    read_results,
    read_samples,
    who,
)

GRID_NOTES = "compare.json"  # beside the runs of a comparison


def find_runs(*folders: Path) -> list[Path]:
    """The run folders at or below `folders`, sorted within each: those that hold a `summary.json`.

    Raises:
        RequestError: when one of them has none.
    """
    return [run for folder in folders for run in _runs_below(folder)]


def _runs_below(folder: Path) -> list[Path]:
    found = sorted(p.parent for p in Path(folder).rglob("summary.json"))
    if not found:
        raise RequestError(
            f"report: expected finished runs in {folder}, found no summary.json there; "
            "give the output folder of `tether train` or `tether compare`"
        )
    return found


def read_run(folder: Path) -> Run:
    """Read one run folder.

    `summary.json`, `results.jsonl` and `predictions.parquet` must be there; anything else that is missing or
    cut off leaves a sentence in `problems`.

    Raises:
        RequestError: when a needed file is missing or not whole.

    Example:
        >>> run = read_run(Path("runs/a"))  # doctest: +SKIP
        >>> run.method, run.keys[0].evalset  # doctest: +SKIP
        ('rdft', 'id_test')
    """
    folder = Path(folder)
    problems: list[str] = []
    summary = read_mapping(folder / "summary.json")
    names, side = read_about(folder, problems)
    sets = read_predictions(folder / "predictions.parquet", problems, len(names.members))
    config_text = read_optional_text(folder / "config.yaml", problems)
    config = parse_config(folder / "config.yaml", config_text, problems)
    classes = read_classes(folder / "classes.json", sets[0].probabilities.shape[1], problems)
    if summary.get("ended_by") == "max_seconds":
        steps = f"step {summary.get('steps')} of {summary.get('planned_steps')}"
        problems.append(f"{folder}: train.max_seconds ended its training after {steps}")
    method, seed = who(folder / "summary.json", summary, config, problems)
    # Without a step there is no log, and nothing is wrong.
    untrained = summary.get("train_seconds") == 0 or summary.get("steps") == 0
    return Run(
        folder=folder,
        method=method,
        seed=seed,
        summary=summary,
        config=config,
        config_text=config_text,
        classes=classes,
        sets=sets,
        results=read_results(folder / "results.jsonl", problems),
        log=tuple(row for _, row in read_lines(folder / "log.jsonl", problems, untrained)),
        merge=tuple(row for _, row in read_lines(folder / "merge.jsonl", problems, optional=True)),
        validation=tuple(r for _, r in read_lines(folder / "validation.jsonl", problems, optional=True)),
        samples=read_samples(folder / "samples.json", classes, problems),
        problems=tuple(problems),
        names=replace(names, classes=classes),
        picture_size=side,
    )


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """Read several run folders; what cannot be read or compared is left out and said in `problems`.

    Runs of one method with several configs are named by what differs (`names`). What a comparison wrote
    beside its runs, methods that it skipped and runs that failed, is said too.

    Raises:
        RequestError: when not one of them can be read.
    """
    runs: list[Run] = []
    parents = [Path(f).parent for f in folders]
    notes = [note for parent in dict.fromkeys(parents) for note in grid_notes(parent)]
    notes += [
        note for parent in dict.fromkeys(parents) if parents.count(parent) > 1 for note in _begun(parent)
    ]
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except RequestError as e:
            notes.append(f"{folder}: left out: {e}")
    if not runs:
        raise RequestError(
            "compare: expected at least one run, got none; give run folders"
            if not notes
            else "compare: none of the runs can be read:\n" + "\n".join(notes)
        )
    kept, left_out = keep_comparable(runs)
    kept, twice = _once(named_by_difference(kept))
    notes += [*left_out, *twice]
    if notes:  # they stand with what the first run's own files lack: a report has one list of them
        kept = (replace(kept[0], problems=(*notes, *kept[0].problems)), *kept[1:])
    check_comparable(kept)
    return kept


def grid_notes(folder: Path) -> list[str]:
    """What a comparison wrote beside its runs: skipped methods, failed runs, matched budgets."""
    path = folder / GRID_NOTES
    if not path.is_file():
        return []
    try:
        about = read_mapping(path)
    except RequestError as e:
        return [str(e)]
    skipped, failed, notes = about.get("skipped") or {}, about.get("failed") or {}, about.get("notes") or []
    found = [f"skipped: {name}: {why}" for name, why in skipped.items()]
    found += [
        f"failed: {name}: {why}"
        for name, why in failed.items()
        if not (folder / name / "summary.json").is_file()
    ]
    return [*found, *map(str, notes)]


def _begun(folder: Path) -> list[str]:
    """Of several runs in one folder: those that are not finished and of which nothing else is said."""
    path = folder / GRID_NOTES
    failed = "" if not path.is_file() else path.read_text(encoding="utf-8", errors="replace")
    return [
        f"{run.parent}: left out: it is not finished"
        for run in sorted(folder.glob("*/config.yaml"))
        if not (run.parent / "summary.json").is_file() and f'"{run.parent.name}"' not in failed
    ]


def _once(runs: Sequence[Run]) -> tuple[tuple[Run, ...], list[str]]:
    """Each method and seed once, the first of them."""
    first: dict[tuple[str, int], Run] = {}
    notes = []
    for run in runs:
        same = first.setdefault((run.method, run.seed), run)
        if same is not run:
            notes.append(f"{run.folder}: left out: {same.folder} is {run.name} already")
    return tuple(first.values()), notes


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs that were not measured on the same examples, or that appear twice.

    `read_runs` gives none of these; a caller that puts runs together itself may.

    Raises:
        RequestError: naming the two folders and what differs.
    """
    if not runs:
        raise RequestError("compare: expected at least one run, got none; give run folders")
    first = runs[0]
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        same = seen.setdefault((run.method, run.seed), run)
        if same is not run:
            raise RequestError(
                f"compare: {same.folder} and {run.folder} are both {run.name}; leave one of them out"
            )
        pair = f"{first.folder} and {run.folder}"
        if run.keys != first.keys:
            odd = sorted({str(k) for k in set(run.keys) ^ set(first.keys)})
            raise RequestError(
                f"compare: expected the same evaluation sets, but {pair} differ in {', '.join(odd[:6])}; "
                "run `tether evaluate` on both with one configuration"
            )
        for a, b in zip(first.sets, run.sets, strict=True):
            if not (np.array_equal(a.ids, b.ids) and np.array_equal(a.labels, b.labels)):
                raise RequestError(
                    f"compare: expected the same examples and labels, but {pair} differ in {a.key}; "
                    "run `tether evaluate` on both with one configuration"
                )
        if run.classes != first.classes:
            raise RequestError(
                f"compare: expected the same classes, but {pair} have {list(first.classes)[:6]} and "
                f"{list(run.classes)[:6]}; compare runs on one data set"
            )
