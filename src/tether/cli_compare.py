"""`tether compare`: the grid on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tether.errors import RequestError

DEFAULT = "finetune,wise_ft,aug_ce,rdft"


def compare(
    config: Annotated[
        str, typer.Argument(help="A preset's name or a path ending in .yaml.", metavar="CONFIG")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes such as train.steps=40 model=minilm-l3.", metavar="[key=value ...]"),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            help="Names, comma-separated, with options if you like: rdft,'rdft(alpha=1)'; or all. "
            f"Without it {DEFAULT}."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="How many seeds, or which: 3, or 0,1,2. Without it 3.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="key=value,value: each combination is a run; give it several times. Or a YAML file with "
            "methods, seeds and grid.",
        ),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="The method gaps are compared with.")] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the runs and the report.")] = None,
    match: Annotated[
        str | None,
        typer.Option(help="flops: each method gets the steps that cost what the reference's cost."),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for several runs at a time.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Of Ray: how many runs at a time.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Run methods x seeds x a grid, test the differences, and write one report.

    Finished runs are found and not repeated; a failed one is reported and the rest go on. With
    `--methods all`, methods that this model or data cannot run are skipped, each with its reason.

    Example: `tether compare digits --methods finetune,rdft --seeds 1 --grid train.lr_scale=0.5,1`
    """
    from tether.grid import compare as compare_
    from tether.points import grid_of, read_grid, split
    from tether.report.tables import comparison_json, print_comparison

    lines = grid or []
    files = [read_grid(Path(line)) for line in lines if _is_file(line)]
    axes = {key: values for file in files for key, values in file.grid.items()}
    axes |= grid_of([line for line in lines if not _is_file(line)])
    listed = [file.methods for file in files if file.methods is not None]
    counted = [file.seeds for file in files if file.seeds is not None]
    done = compare_(
        config,
        split(methods) if methods is not None else listed[-1] if listed else split(DEFAULT),
        _seeds(seeds) if seeds is not None else counted[-1] if counted else 3,
        overrides or [],
        reference,
        output,
        axes,
        engine,
        workers,
        match,
    )
    page = done.report(done.folder / "report.html")
    if as_json:
        about = {
            "folder": str(done.folder),
            "runs": [str(run.folder) for run in done.runs],
            "skipped": dict(done.skipped),
            "failed": dict(done.failed),
        }
        print(json.dumps({**json.loads(comparison_json(done.comparison)), **about}))
    else:
        out = Console() if sys.stdout.isatty() else Console(width=110)
        print_comparison(done.comparison, out)
        out.print(f"\nReport: {page}", soft_wrap=True)
        hint = f"Next: tether predict {done.runs[-1].folder} INPUT"
        out.print(hint, style="dim", markup=False, soft_wrap=True)
    if done.failed:
        for name, message in done.failed.items():
            print(f"tether: {name} failed: {message}", file=sys.stderr)
        raise typer.Exit(1)


def _is_file(line: str) -> bool:
    return "=" not in line and line.endswith((".yaml", ".yml"))


def _seeds(text: str) -> int | list[int]:
    try:
        return int(text) if "," not in text else [int(part) for part in text.split(",") if part]
    except ValueError as e:
        raise RequestError(f"--seeds: expected a count or a list such as 0,1,2, got {text!r}") from e
