"""The grid: methods x seeds on one config, each run found or made, then one report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tether import methods
from tether.config import Config, load_config, with_values
from tether.errors import RequestError
from tether.progress import bar, say
from tether.report.comparison import Comparison, compare_runs
from tether.report.page import write_page
from tether.report.records import Run as RunResults
from tether.report.runs import read_runs
from tether.run import train


@dataclass(frozen=True)
class Compared:
    """A finished comparison.

    Attributes:
        folder: holds a run folder for each method and seed, and the report.
        comparison: rows with intervals and a verdict for each method.
        runs: what was read back from the run folders.
        failed: run name -> message of those that did not finish.
        command: how to get the same again.
    """

    folder: Path
    comparison: Comparison
    runs: Sequence[RunResults]
    failed: Mapping[str, str]
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
        methods: names; the first run of any name decides nothing about the others.
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
    grid = plan(config, methods, numbers, overrides, output)
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
    return Compared(folder, compare_runs(runs, reference), runs, failed, command)


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
