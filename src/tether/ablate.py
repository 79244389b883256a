"""`tether ablate`: run the rows of a method's ablation and say which part carries the gain (METHODS 1.13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tether.ablation_rows import CONTROLS, FULL, Ablated, Plan, config_of, plan_rows
from tether.asked import output_of, seed_numbers, seeds_text, shown, stem_of
from tether.config import Config
from tether.errors import RequestError
from tether.files import as_name
from tether.grid import run_grid
from tether.progress import say
from tether.report.ablation import AblationTable, ablation_table
from tether.report.ablation_output import write_ablation
from tether.report.comparison import compare_runs
from tether.report.page import write_page
from tether.report.records import Run as RunResults
from tether.report.runs import read_run


@dataclass(frozen=True)
class Ablation:
    """A finished ablation.

    Attributes:
        folder: holds a run folder for each row and seed, `ablation.csv`, `.json` and `.html`, `report.html`.
        table: every row against the whole method.
        runs: what was read back; `method` is the row's name.
        failed: row and seed -> message of those that did not finish.
        command: how to get the same again.
    """

    folder: Path
    table: AblationTable
    runs: Sequence[RunResults]
    failed: Mapping[str, str]
    command: str

    @property
    def page(self) -> Path:
        """The table as a page."""
        return self.folder / "ablation.html"


def ablate(
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    seeds: int | Sequence[int] = 1,
    rows: Sequence[str] = (),
    controls: Sequence[str] = CONTROLS,
    output: str | None = None,
) -> Ablation:
    """Run the whole method, each row and each control for as many steps, and compare all with the first.

    Finished runs are found and skipped; a row that fails is reported and the rest go on.

    Args:
        config: a preset's name, a YAML path or a mapping; its method is taken apart.
        overrides: "key=value" for every run; "output=..." names the folder.
        seeds: how many, counted from 0, or which.
        rows: kinds of rows or patterns of their names; () for all (see `plan_rows`).
        controls: other methods on the same data.
        output: the folder; default runs/ablate-CONFIG-METHOD.

    Raises:
        RequestError: a wrong request, or the whole method did not finish.

    Example:
        >>> done = ablate("emoji", ["method=rdft"], seeds=3)  # doctest: +SKIP
        >>> print(done.table.findings[1])  # doctest: +SKIP
    """
    overrides, output = output_of(overrides, output)
    numbers = seed_numbers(seeds)
    if not numbers:
        raise RequestError("ablate: expected at least one seed; try --seeds 3")
    plan = plan_rows(config, overrides, rows, controls)
    root = Path(output or f"runs/ablate-{stem_of(config)}-{plan.base.method.name}")
    jobs = _jobs(plan, numbers, root)
    for name, why in plan.skipped.items():
        say(f"[dim]{name} is skipped: {why}[/dim]")
    failed = _run([job for _, job in jobs])
    runs = tuple(
        replace(read_run(Path(str(job.output))), method=row.name)
        for row, job in jobs
        if str(job.output) not in failed
    )
    failures = {
        f"{row.name}, seed {job.seed}": failed[str(job.output)]
        for row, job in jobs
        if str(job.output) in failed
    }
    if not any(run.method == FULL for run in runs):
        raise RequestError(
            "ablate: the whole method did not finish:\n" + "\n".join(f"{k}: {v}" for k, v in failures.items())
        )
    table = ablation_table(
        runs,
        FULL,
        plan.base.method.name,
        kinds={r.name: r.kind for r in plan.rows},
        same={r.name: r.same for r in plan.rows},
        skipped=plan.skipped,
        notes=plan.notes,
    )
    command = " ".join(["tether ablate", shown(config), *overrides, "--seeds", seeds_text(seeds)])
    if rows:
        command += f" --rows '{','.join(rows)}'"
    write_ablation(table, root, command)
    _write_report(runs, root, command)
    return Ablation(root, table, runs, failures, command)


def _jobs(plan: Plan, seeds: Sequence[int], root: Path) -> list[tuple[Ablated, Config]]:
    """Every row with every seed; the whole of one seed before the next, so that a table is there early."""
    return [
        (row, config_of(plan.base, row, seed=seed, output=str(root / f"{_slug(row.name)}_s{seed}")))
        for seed in seeds
        for row in plan.rows
    ]


def _run(jobs: Sequence[Config]) -> dict[str, str]:
    """Run what is not finished; folder -> message of those that failed."""
    root = Path(str(jobs[0].output)).parent
    failed = run_grid(jobs, "local", None, root, {}, [])
    return {str(root / name): why for name, why in failed.items()}


def _slug(name: str) -> str:
    return "-".join(part for part in as_name(name).split("-") if part)


def _write_report(runs: Sequence[RunResults], root: Path, command: str) -> None:
    """The usual page over all rows, where it does not grow too large."""
    try:
        write_page(compare_runs(runs, FULL), runs, root / "report.html", root.name, command)
    except RequestError as e:
        say(f"no report.html, the tables are in ablation.html: {e}")
