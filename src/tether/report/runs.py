"""Reads run folders and checks that they may be compared: all that the report knows comes through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tether.errors import RequestError
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
)


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
    for key in ("method", "seed"):
        if key not in summary:
            raise RequestError(f"{folder / 'summary.json'}: expected the key {key!r}; run the command again")
    names, side = read_about(folder, problems)
    sets = read_predictions(folder / "predictions.parquet", problems, len(names.members))
    classes = read_classes(folder / "classes.json", sets[0].probabilities.shape[1], problems)
    config_text = read_optional_text(folder / "config.yaml", problems)
    untrained = summary.get("train_seconds") == 0  # then there is no log, and nothing is wrong
    return Run(
        folder=folder,
        method=str(summary["method"]),
        seed=int(summary["seed"]),
        summary=summary,
        config=parse_config(folder / "config.yaml", config_text, problems),
        config_text=config_text,
        classes=classes,
        sets=sets,
        results=read_results(folder / "results.jsonl", problems),
        log=tuple(row for _, row in read_lines(folder / "log.jsonl", problems, untrained)),
        merge=tuple(row for _, row in read_lines(folder / "merge.jsonl", problems, optional=True)),
        validation=tuple(r for _, r in read_lines(folder / "validation.jsonl", problems, optional=True)),
        samples=read_samples(folder / "samples.json", problems),
        problems=tuple(problems),
        names=replace(names, classes=classes),
        picture_size=side,
    )


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """Read several run folders and check that their numbers may stand side by side.

    Raises:
        RequestError: see `read_run` and `check_comparable`.
    """
    runs = tuple(read_run(f) for f in folders)
    check_comparable(runs)
    return runs


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs that were not measured on the same examples, or that appear twice.

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
