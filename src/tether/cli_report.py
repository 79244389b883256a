"""`tether report`: the page from results already on disk, its figures as files, and a look at it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tether.errors import RequestError, nearest


def report(
    folders: Annotated[list[Path], typer.Argument(help="Run folders, or folders that hold runs.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page to write.")] = None,
    reference: Annotated[str | None, typer.Option(help="The method gaps are compared with.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="What the headline is made of; else what the runs' config says.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for every figure as SVG and PNG, for slides and papers.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then serve the page to browsers on this machine, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(help="For --serve; 0 takes any that is free.")] = 8000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Rebuild the page from results already on disk.

    The page is one file that opens without a network; its numbers stand as CSV and JSON beside it.

    Example: `tether report runs/compare-digits -o report.html --figures figures`
    """
    from tether.evaluation.headline_metric import HEADLINE_METRICS
    from tether.report.comparison import compare_runs
    from tether.report.figures import write_figures
    from tether.report.page import write_page
    from tether.report.runs import find_runs, read_runs
    from tether.report.tables import comparison_json, print_comparison

    if not 0 <= port <= 65535:
        raise RequestError(f"--port: expected 0 to 65535, got {port}")
    if metric is not None and metric not in HEADLINE_METRICS:
        raise RequestError(
            f"--metric: {metric!r} cannot make the headline; {nearest(metric, HEADLINE_METRICS)}"
        )
    target = output or folders[0] / "report.html"
    if target.suffix != ".html":
        raise RequestError(
            f"--output: expected a name that ends in .html, got {target}; the CSV and JSON go beside it"
        )
    runs = read_runs(find_runs(*folders))
    comparison = compare_runs(runs, reference, metric=metric)
    command = shlex.join(["tether", "report", *map(str, folders)])
    if reference is not None:
        command += f" --reference {shlex.quote(reference)}"
    if metric is not None:
        command += f" --metric {shlex.quote(metric)}"
    page = write_page(comparison, runs, target, folders[0].resolve().name, command)
    drawn = write_figures(comparison, runs, figures) if figures is not None else []
    out = Console() if sys.stdout.isatty() else Console(width=110)
    if as_json:
        print(comparison_json(comparison))
    else:
        print_comparison(comparison, out)
        out.print(f"\nReport: {page}", soft_wrap=True)
        if figures is not None:
            out.print(f"Figures: {len(drawn)} files in {figures}", soft_wrap=True)
    if serve:
        _serve(page, port)


def _serve(page: Path, port: int) -> None:
    from tether.report.serve import LOOPBACK, server

    with server(page, port) as here:
        print(
            f"Serving on http://{LOOPBACK}:{here.server_port}/ (Ctrl-C ends it)",
            file=sys.stderr,
            flush=True,
        )
        try:
            here.serve_forever()
        except KeyboardInterrupt:
            print("", file=sys.stderr)
