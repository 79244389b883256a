"""The grid: methods x seeds on one config, each run found or made, then one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tether import methods
from tether.config import Config, load_config, with_values
from tether.cost import REFERENCE
from tether.errors import RequestError
from tether.folder import is_done
from tether.listing import method_rows
from tether.progress import bar, say
from tether.report.comparison import Comparison, compare_runs
from tether.report.page import write_page
from tether.report.records import Run as RunResults
from tether.report.runs import read_runs
from tether.run import train
from tether.runnable import can_run, forget


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Attributes:
        folder: holds a run folder for each method and seed, and the report.
        comparison: rows with intervals and a verdict for each method.
        runs: what was read back from the run folders.
        failed: run name -> message of those that did not finish.
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
    methods: Sequence[str] = ("finetune", "wise_ft", "aug_ce", "rdft"),
    seeds: int | Sequence[int] = 3,
    overrides: Sequence[str] = (),
    reference: str | None = None,
    output: str | None = None,
) -> Compared:
    """Run the grid, resume what is done, test the differences.

    Args:
        config: a preset's name, a YAML path or a mapping.
        methods: names; the first run of any name decides nothing about the others. "all" stands for every
            method there is, cheap ones first; one that cannot run on this model and data is then skipped.
        seeds: how many, counted from 0, or which.
        overrides: "key=value" for every run.
        reference: the method that gaps are compared with; "finetune" if it is among them.
        output: the folder; default runs/compare-CONFIG. The override "output=..." says the same.

    Raises:
        RequestError: a wrong name or key, before anything is trained; or when every run failed.

    Example:
        >>> import tether
        >>> page = tether.compare("digits", methods=["finetune", "rdft"], seeds=1).report()  # doctest: +SKIP
    """
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    # Of one run `output` is the folder; of a comparison it is the folder of all its runs.
    named = [o.partition("=")[2] for o in overrides if o.startswith("output=")]
    overrides = [o for o in overrides if not o.startswith("output=")]
    output = output or (named[-1] if named else None)
    grid, skipped = runnable(plan(config, expanded(methods), numbers, overrides, output), methods)
    folder = Path(grid[0].output or ".").parent
    folders, failed = run_grid(grid)
    if not folders:
        raise RequestError(
            "no run of the comparison finished:\n" + "\n".join(f"{k}: {v}" for k, v in failed.items())
        )
    runs = read_runs(folders)
    name = config if isinstance(config, str | Path) else "CONFIG"
    command = " ".join(
        ["tether compare", str(name), "--methods", ",".join(methods), "--seeds", _seeds(seeds), *overrides]
    )
    found = compare_runs(runs, reference)
    notes = [f"skipped: {name}: {why}" for name, why in skipped.items()]
    notes += [f"failed: {name}: {why}" for name, why in failed.items()]
    return Compared(
        folder, replace(found, problems=(*notes, *found.problems)), runs, failed, skipped, command
    )


ALL = "all"


def expanded(names: Sequence[str]) -> list[str]:
    """The names with "all" replaced by every other method there is, cheap ones first.

    Order: those that train nothing, the one that costs are relative to, the others by their cost; last those
    whose cost cannot be counted without their kind of model.
    """
    if ALL not in names:
        return list(names)
    rows = {row.name: row for row in method_rows() if row.name not in names}

    def place(name: str) -> tuple[float, float]:
        row = rows[name]
        if row.step is None:
            return 3.0, 0.0
        total = row.step + (row.before or 0.0)
        return 0.0 if total == 0 else 1.0 if name == REFERENCE else 2.0, total

    found: list[str] = []
    for name in names:
        found += sorted(rows, key=place) if name == ALL else [name]
    return list(dict.fromkeys(found))


def runnable(grid: Sequence[Config], named: Sequence[str]) -> tuple[list[Config], dict[str, str]]:
    """The configs whose method can run, and why the others cannot.

    Raises:
        RequestError: a method that was asked for by its name cannot run; nothing is trained then.
    """
    reasons: dict[str, str | None] = {}
    unchecked = [c for c in grid if not is_done(Path(c.output or "."), c)]
    with bar("checking methods", len({c.method.name for c in unchecked})) as progress:
        for config in unchecked:
            name = config.method.name
            if name in reasons:
                continue
            progress.note(f"checking {name}")
            reasons[name] = why = can_run(config)
            progress.advance()
            if why is not None and name in named:
                raise RequestError(f"compare: {name} cannot run here, nothing was trained: {why}")
    forget()
    skipped = {name: why for name, why in reasons.items() if why is not None}
    for name, why in skipped.items():
        say(f"skipped: {name}: {why}")
    if len(left := [c for c in grid if c.method.name not in skipped]) == 0:
        raise RequestError("compare: no method can run on this model and data")
    return left, skipped


def plan(
    config: str | Path | Mapping[str, Any],
    names: Sequence[str],
    seeds: Sequence[int],
    overrides: Sequence[str],
    output: str | None,
) -> list[Config]:
    """The resolved config of every run, checked before any is started."""
    if not names or not seeds:
        raise RequestError("compare: expected at least one method and one seed")
    for name in names:
        methods.builder(name)
    stem = Path(str(config)).stem if isinstance(config, str | Path) else "config"
    root = Path(output or f"runs/compare-{stem}")
    grid = []
    for seed in seeds:
        for name in names:
            one = load_config(config, [*overrides, f"method={name}", f"seed={seed}"])
            grid.append(with_values(one, output=str(root / one.run_name())))
    return grid


def run_grid(grid: Sequence[Config]) -> tuple[list[Path], dict[str, str]]:
    """Run every config; a failed one is reported and the rest go on."""
    folders: list[Path] = []
    failed: dict[str, str] = {}
    with bar("compare", len(grid)) as progress:
        for config in grid:
            name = config.run_name()
            progress.note(f"compare: {name}")
            try:
                folders.append(train(config).folder)
            except RequestError as e:
                failed[name] = str(e)
                say(f"[red]{name} failed:[/red] {e}")
            progress.advance()
    return folders, failed


def _seeds(seeds: int | Sequence[int]) -> str:
    return str(seeds) if isinstance(seeds, int) else ",".join(map(str, seeds))
