"""The grid: methods x seeds x overrides on one config, each run found or made, then one report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tether.asked import output_of, seed_numbers, seeds_text, shown
from tether.config import Config, as_yaml
from tether.cost import REFERENCE
from tether.engines import EngineName, check_engine, run_all
from tether.errors import RequestError, nearest
from tether.files import read_json, write_json
from tether.folder import is_done
from tether.listing import method_rows
from tether.matched import matched
from tether.points import Grid, method_of, plan
from tether.progress import bar, say
from tether.report.comparison import Comparison, compare_runs
from tether.report.page import write_page
from tether.report.records import Run as RunResults
from tether.report.runs import GRID_NOTES, read_runs
from tether.runnable import can_run, forget, shared

ALL = "all"
METHODS = ("finetune", "wise_ft", "aug_ce", "rdft")


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Attributes:
        folder: holds a run folder for each point of the grid, and the report.
        comparison: rows with intervals and a verdict for each method.
        runs: what was read back from the run folders.
        failed: run folder's name -> message of those that did not finish.
        skipped: method -> why it cannot run on this model and data; only of those that `all` brought in.
        command: how to get the same again.
    """

    folder: Path
    comparison: Comparison
    runs: Sequence[RunResults]
    failed: Mapping[str, str]
    skipped: Mapping[str, str]
    command: str

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the self-contained page, with its CSV and JSON beside it."""
        return write_page(self.comparison, self.runs, Path(path), self.folder.name, self.command)


def compare(
    config: str | Path | Mapping[str, Any],
    methods: Sequence[str] = METHODS,
    seeds: int | Sequence[int] = 3,
    overrides: Sequence[str] = (),
    reference: str | None = None,
    output: str | None = None,
    grid: Grid | None = None,
    engine: str = "local",
    workers: int | None = None,
    match: str | None = None,
) -> Compared:
    """Run the grid, resume what is done, test the differences.

    Args:
        config: a preset's name, a YAML path or a mapping.
        methods: names, or names with options such as "rdft(alpha=1)". "all" stands for every method there
            is, cheap ones first; one that cannot run on this model and data is then skipped.
        seeds: how many, counted from 0, or which.
        overrides: "key=value" for every run.
        reference: the method that gaps are compared with; "finetune" if it is among them.
        output: the folder; default runs/compare-CONFIG. The override "output=..." says the same.
        grid: config key -> values; every combination is a run. A key "method.OPTION" belongs to the methods
            that have the option.
        engine: "local" runs one after the other, "ray" several at a time (the extra `ray`).
        workers: of Ray, how many runs at a time; None for one a GPU, or one for two CPU cores.
        match: "flops" gives each method the steps that cost what the reference's cost (METHODS 1.13).

    Raises:
        RequestError: a wrong name or key, before anything is trained; or when every run failed.
        Interrupted: after Ctrl-C; the same call goes on.

    Example:
        >>> import tether
        >>> page = tether.compare("digits", methods=["finetune", "rdft"], seeds=1).report()  # doctest: +SKIP
        >>> more = tether.compare("digits", ["rdft"], 1, grid={"train.lr_scale": [0.5, 1]})  # doctest: +SKIP
    """
    who = check_engine(engine)
    overrides, output = output_of(overrides, output)
    points = plan(config, expanded(methods), seed_numbers(seeds), overrides, output, grid)
    asked = [method_of(spec)[0] for spec in methods if spec != ALL]
    skipped: dict[str, str] = {}
    notes: list[str] = []
    if match is not None:
        points, skipped, notes = matched(points, match, _named_reference(reference, points), asked)
    points, unfit = runnable(points, asked)
    skipped |= unfit
    folder = Path(points[0].output or ".").parent
    failed = run_grid(points, who, workers, folder, skipped, notes)
    runs = read_runs([Path(c.output or ".") for c in points if Path(c.output or ".").name not in failed])
    metric = points[0].evaluate.metric
    command = _command(shown(config), methods, seeds, overrides, grid, match, reference)
    return Compared(folder, compare_runs(runs, reference, metric=metric), runs, failed, skipped, command)


def expanded(specs: Sequence[str]) -> list[str]:
    """The methods with "all" replaced by every other one there is, cheap ones first.

    Order: those that train nothing, the one that costs are relative to, the others by their cost; last those
    whose cost cannot be counted without their kind of model.
    """
    if ALL not in specs:
        return list(dict.fromkeys(specs))
    named = {method_of(spec)[0] for spec in specs if spec != ALL}
    rows = {row.name: row for row in method_rows() if row.name not in named}

    def place(name: str) -> tuple[float, float]:
        row = rows[name]
        if row.step is None:
            return 3.0, 0.0
        total = row.step + (row.before or 0.0)
        return 0.0 if total == 0 else 1.0 if name == REFERENCE else 2.0, total

    found: list[str] = []
    for spec in specs:
        found += sorted(rows, key=place) if spec == ALL else [spec]
    return list(dict.fromkeys(found))


def runnable(grid: Sequence[Config], named: Sequence[str]) -> tuple[list[Config], dict[str, str]]:
    """The configs whose method can run, and why the others cannot.

    Args:
        named: methods that were asked for by their name.

    Raises:
        RequestError: one of `named` cannot run; nothing is trained then.
    """
    reasons: dict[str, str] = {}  # fingerprint -> why
    unchecked = [c for c in grid if not is_done(Path(c.output or "."), c)]
    unchecked = sorted(
        (c for c in unchecked if c.seed == unchecked[0].seed), key=shared
    )  # seeds change nothing
    with bar("checking methods", len(unchecked)) as progress:
        for config in unchecked:
            name = config.method.name
            progress.note(f"checking {name}")
            why = can_run(config)
            progress.advance()
            if why is not None and name in named:
                raise RequestError(f"compare: {name} cannot run here, nothing was trained: {why}")
            if why is not None:
                reasons[_point(config)] = why
    forget()
    left = [c for c in grid if _point(c) not in reasons]
    able = {c.method.name for c in left}
    skipped = {
        c.method.name if c.method.name not in able else _point(c): reasons[_point(c)]
        for c in grid
        if _point(c) in reasons
    }
    for name, why in skipped.items():
        say(f"skipped: {name}: {why}")
    if not left:
        raise RequestError("compare: no method can run on this model and data")
    return left, skipped


def _point(config: Config) -> str:
    """The folder's name without the seed."""
    return Path(config.output or "").name.removesuffix(f"_s{config.seed}")


def run_grid(
    grid: Sequence[Config],
    engine: EngineName,
    workers: int | None,
    folder: Path,
    skipped: Mapping[str, str],
    notes: Sequence[str],
) -> dict[str, str]:
    """Run what is not finished, and write what the report must say besides the runs' own files.

    Returns:
        Run folder's name -> message of those that failed.

    Raises:
        RequestError: when no run finished.
        Interrupted: after Ctrl-C.
    """
    todo = [c for c in grid if not is_done(Path(c.output or "."), c)]
    if found := len(grid) - len(todo):
        say(f"compare: {found} of {len(grid)} runs are finished already; their results are used")
    failed: dict[str, str] = {}
    with bar("compare", len(todo)) as progress:
        for ended in run_all(todo, engine, workers, progress):
            progress.advance()
            name, left = ended.folder.name, len(todo) - int(progress.done)
            if ended.why is None:
                say(f"compare: {name} done in {ended.seconds:.0f} s{_scores(ended.folder)}; {left} runs left")
            else:
                failed[name] = ended.why
                say(f"[red]compare: {name} failed:[/red] {ended.why}; {left} runs left")
    if len(failed) == len(grid):
        raise RequestError(
            "no run of the comparison finished:\n" + "\n".join(f"{k}: {v}" for k, v in failed.items())
        )
    write_json(folder / GRID_NOTES, {"skipped": dict(skipped), "failed": failed, "notes": list(notes)})
    return failed


def _scores(folder: Path) -> str:
    """ID and OOD accuracy of a finished run, for its line."""
    summary = read_json(folder / "summary.json")
    scores = ((said, summary.get(key)) for said, key in (("ID", "id_accuracy"), ("OOD", "ood_accuracy")))
    return "".join(f", {said} {100 * value:.1f}%" for said, value in scores if value is not None)


def _named_reference(reference: str | None, points: Sequence[Config]) -> Config:
    """The first point of the reference method, by whose cost the others are measured."""
    names = [c.method.name for c in points]
    wanted, given = (
        (REFERENCE if REFERENCE in names else names[0], {}) if reference is None else method_of(reference)
    )
    for config in points:
        if config.method.name == wanted and all(config.method.options[k] == v for k, v in given.items()):
            return config
    raise RequestError(
        f"--match: the reference {reference!r} is not among the methods; {nearest(wanted, names)}"
    )


def _command(
    config: str,
    methods: Sequence[str],
    seeds: int | Sequence[int],
    overrides: Sequence[str],
    grid: Grid | None,
    match: str | None,
    reference: str | None,
) -> str:
    """The shell command of this comparison."""
    words = ["tether", "compare", config, "--methods", ",".join(methods)]
    words += ["--seeds", seeds_text(seeds)]
    for key, values in (grid or {}).items():
        words += ["--grid", f"{key}={','.join(map(as_yaml, values))}"]
    words += ["--match", match] if match else []
    words += ["--reference", reference] if reference else []
    return shlex.join([*words, *overrides])
