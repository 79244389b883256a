"""`tether compare`: the grid on the command line."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from tether.errors import RequestError


def compare(
    config: Annotated[
        str, typer.Argument(help="A preset's name or a path ending in .yaml.", metavar="CONFIG")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Changes such as train.steps=40 model=minilm-l3.", metavar="[key=value ...]"),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Method names, comma-separated, or all.")
    ] = "finetune,wise_ft,aug_ce,rdft",
    seeds: Annotated[str, typer.Option(help="How many seeds, or which: 3, or 0,1,2.")] = "3",
    reference: Annotated[str | None, typer.Option(help="The method gaps are compared with.")] = None,
    output: Annotated[str | None, typer.Option(help="Folder for the runs and the report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Run methods x seeds, test the differences, and write one report.

    Finished runs are found and not repeated; a failed one is reported and the rest go on. With
    `--methods all`, methods that this model or data cannot run are skipped, each with its reason.

    Example: `tether compare digits --methods finetune,rdft --seeds 1`
    """
    from tether.grid import compare as compare_
    from tether.report.tables import comparison_json, print_comparison

    done = compare_(config, _names(methods), _seeds(seeds), overrides or [], reference, output)
    page = done.report(done.folder / "report.html")
    if as_json:
        about = {"folder": str(done.folder), "skipped": dict(done.skipped), "failed": dict(done.failed)}
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


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seeds(text: str) -> int | list[int]:
    try:
        return int(text) if "," not in text else [int(part) for part in text.split(",") if part]
    except ValueError as e:
        raise RequestError(f"--seeds: expected a count or a list such as 0,1,2, got {text!r}") from e
