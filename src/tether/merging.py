"""`tether merge`: the line between a run's start and its result, or the mean of runs (METHODS 1.11)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from tether.errors import RequestError
from tether.files import read_json, write_json, write_text
from tether.finish import Blended, Scores, choose, interpolate
from tether.inference import load
from tether.merge_ends import Bench, State, bench_of, check_line, ends, finished, settled, tested
from tether.models.model import Model
from tether.models.save import save_model
from tether.prediction import Predict, write_rule
from tether.progress import bar
from tether.report.merged import write_merge_pictures
from tether.soups import soup_of


@dataclass(frozen=True)
class OnLine:
    """One point of the line.

    Attributes:
        mu: 0 is the start, 1 the result of training.
        scores: on validation.
        chosen: whether this is the mu of the merged model.
        id_test: accuracy on ID test, only where it was asked for; it steers nothing.
        ood_test: mean over the headline OOD sets, likewise.
    """

    mu: float
    scores: Scores
    chosen: bool = False
    id_test: float | None = None
    ood_test: float | None = None


@dataclass(frozen=True)
class Merged:
    """A merged model on disk.

    Attributes:
        folder: with `model/`, `merge.jsonl` and its pictures; `tether evaluate` and `predict` read it.
        mu: the weight of the trained model; None for a soup.
        why: how mu was chosen, a sentence.
        curve: the line, by mu; empty for a soup.
        soup: what became of each run of a soup.
    """

    folder: Path
    mu: float | None
    why: str
    curve: tuple[OnLine, ...] = ()
    soup: tuple[Blended, ...] = ()


def merge_run(
    run: str | Path,
    mu: float | Literal["auto"] = "auto",
    grid: int = 21,
    output: str | Path | None = None,
    test: bool = False,
) -> Merged:
    """Judge theta(mu) = (1 - mu) theta_0 + mu theta_S on validation, and write the chosen model.

    theta_S is the run's result before any merging of its own: a run that merged at mu' is continued to
    theta_0 + (theta - theta_0) / mu'.

    Args:
        run: a finished run's folder.
        mu: "auto" takes the best OOD validation among points within 0.01 of the best ID validation, or 0.5
            without OOD validation (METHODS 1.11); a number is taken as it is.
        grid: points of the line, its ends included.
        output: the folder to write; default beside the run, RUN-merged.
        test: also look at the test sets, for a picture of its own. They never choose.

    Raises:
        RequestError: no finished run, or one whose start and result no straight line joins.

    Example:
        >>> merged = merge_run("runs/digits-rdft_s0")  # doctest: +SKIP
        >>> merged.mu, merged.folder  # doctest: +SKIP
        (0.65, PosixPath('runs/digits-rdft_s0-merged'))
    """
    folder = Path(run)
    _check_numbers(mu, grid)
    target = _target(output or folder.with_name(folder.name + "-merged"))
    check_line(folder)
    bench = bench_of(folder)
    first, student = ends(bench, folder)
    model = load(folder).to(bench.engine.device)
    points = np.linspace(0.0, 1.0, grid).tolist()
    if mu != "auto" and mu not in points:
        points = sorted([*points, mu])
    found = _walk(model, first, student, points, bench, test)
    best = choose([(p.mu, p.scores) for p in found]) if mu == "auto" else mu
    if best not in [p.mu for p in found]:  # without OOD validation an even grid does not hold the 0.5
        found = sorted([*found, *_walk(model, first, student, [best], bench, test)], key=lambda p: p.mu)
    curve = tuple(replace(p, chosen=p.mu == best) for p in found)
    interpolate(model, first, student, best)
    rule = settled(bench, model)
    _write(target, model.to("cpu"), rule, folder)
    rows = [_row(p) for p in curve]
    write_text(target / "merge.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    why = _why(mu, curve)
    write_json(target / "merge.json", {"run": str(folder), "mu": best, "why": why, "tested": test})
    write_merge_pictures(target, folder.name, rows)
    return Merged(target, best, why, curve)


def merge_runs(
    runs: Sequence[str | Path],
    kind: Literal["uniform", "greedy"] = "uniform",
    output: str | Path | None = None,
) -> Merged:
    """Average several finished runs of one start, and write the model (METHODS 6, `soup`).

    Args:
        runs: folders of two runs or more.
        kind: "uniform" takes all; "greedy" goes from the best on ID validation down and keeps a run if ID
            validation of the mean does not drop.
        output: the folder to write; default beside the first run, RUN-soup.

    Raises:
        RequestError: runs of unlike starts, data or classes.
    """
    folders = [Path(run) for run in runs]
    target = _target(output or folders[0].with_name(folders[0].name + "-soup"))
    for folder in folders:
        finished(folder)
    bench = bench_of(folders[0])
    model, rows = soup_of(folders, bench.judge() if kind == "greedy" else None)
    rule = settled(bench, model.to(bench.engine.device))
    _write(target, model.to("cpu"), rule, folders[0])
    used = [row.name for row in rows if row.used]
    why = f"the mean of {len(used)} of {len(rows)} runs ({kind})"
    table = [
        {"run": r.name, "used": r.used, **_two("alone", r.alone), **_two("mixed", r.mixed)} for r in rows
    ]
    write_text(target / "blend.jsonl", "".join(json.dumps(row) + "\n" for row in table))
    write_json(target / "merge.json", {"runs": [str(f) for f in folders], "soup": kind, "used": used})
    return Merged(target, None, why, soup=tuple(rows))


def _check_numbers(mu: float | str, grid: int) -> None:
    if mu != "auto" and not (isinstance(mu, float | int) and 0.0 <= mu <= 1.0):
        raise RequestError(f"--mu: expected auto, or a number from 0 to 1, got {mu}")
    if grid < 2:
        raise RequestError(f"--grid: expected at least the two ends, got {grid}; 21 steps by 0.05")


def _target(folder: str | Path) -> Path:
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"merge: {folder} exists already; name another folder with -o, or remove it")
    return folder


def _walk(
    model: Model, first: State, last: State, points: Sequence[float], bench: Bench, test: bool
) -> list[OnLine]:
    judge = bench.judge()
    found = []
    with bar("merging on validation", len(points)) as progress:
        for mu in points:
            interpolate(model, first, last, mu)
            seen = tested(model, bench) if test else (None, None)
            found.append(OnLine(mu, judge(model), False, *seen))
            progress.advance()
    return found


def _write(target: Path, model: Model, rule: Predict, run: Path) -> None:
    """The model in its own library's format, with what a run's folder says about classes and pictures."""
    save_model(model, target / "model")
    write_rule(rule, target / "model")
    for name in ("classes.json", "data.json"):
        if (run / name).is_file():
            write_json(target / name, read_json(run / name))


def curve_rows(merged: Merged) -> list[dict[str, object]]:
    """The line as the rows of `merge.jsonl`."""
    return [_row(p) for p in merged.curve]


def _row(p: OnLine) -> dict[str, object]:
    row: dict[str, object] = {
        "mu": p.mu, "id_val": p.scores.id_val, "ood_val": p.scores.ood_val, "chosen": p.chosen,
    }  # fmt: skip
    return row if p.id_test is None else {**row, "id_test": p.id_test, "ood_test": p.ood_test}


def _two(name: str, scores: Scores | None) -> dict[str, float | None]:
    if scores is None:
        return {}
    return {f"{name}_id_val": scores.id_val, f"{name}_ood_val": scores.ood_val}


def _why(mu: float | str, curve: Sequence[OnLine]) -> str:
    if mu != "auto":
        return "as asked"
    if any(p.scores.ood_val is None for p in curve):
        return "there is no OOD validation to choose on, so the middle is taken (WiSE-FT's advice)"
    return "the best OOD validation among points whose ID validation is within 1 point of the best"
