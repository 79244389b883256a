"""`tether evaluate`: one model, or several side by side."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml

from tether.errors import RequestError

_ACROSS = 6  # columns beside the model's name that fit a terminal
_OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=")


def evaluate(
    words: Annotated[
        list[str],
        typer.Argument(
            help="One or more models, then the config, then changes. A model is a run, a saved model's "
            "folder, a packaged or hub name, or a mapping such as '{name: emoji-two-tower, head: probe}'.",
            metavar="MODEL ... CONFIG [key=value ...]",
        ),
    ],
    severities: Annotated[
        str | None, typer.Option(help="Of the synthetic shifts, such as 1-5 or 1,3,5.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Samples under each synthetic shift, at most.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder for the runs, the table and the figure.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Stress-test models without training them.

    A model whose head does not have the data's classes gets a linear probe. Several models give one table
    and one figure: accuracy and relative gap on every shift, with parameters. Finished models are found and
    not repeated; a failed one is reported and the rest go on.

    Example: `tether evaluate minilm-l6 minilm-l3 sentiment --severities 1-5 -o runs/untouched`
    """
    models, config, overrides = split(words)
    if severities is not None:
        from tether.cli_shifts import levels

        overrides.append(f"evaluate.severities={levels(severities)}")
    if limit is not None:
        overrides.append(f"evaluate.limit={limit}")
    if len(models) == 1:
        _one(models[0], config, [*overrides, *([f"output={output}"] if output else [])], as_json)
        return
    _several(models, config, overrides, output, as_json)


def split(words: Sequence[str]) -> tuple[list[str | dict[str, Any]], str, list[str]]:
    """Models, the config, and changes, from what stands on the command line.

    Raises:
        RequestError: fewer than a model and a config.

    Example:
        >>> split(["minilm-l6", "{name: minilm-l3, pooling: cls}", "sentiment", "seed=1"])
        (['minilm-l6', {'name': 'minilm-l3', 'pooling': 'cls'}], 'sentiment', ['seed=1'])
    """
    overrides = [w for w in words if _OVERRIDE.match(w)]
    named = [w for w in words if not _OVERRIDE.match(w)]
    if len(named) < 2:
        raise RequestError(
            f"evaluate: expected models and then a config, got {' '.join(named) or 'neither'}; such as "
            "tether evaluate minilm-l6 sentiment"
        )
    *models, config = named
    return [_model(w) for w in models], config, overrides


def _model(word: str) -> str | dict[str, Any]:
    if not word.lstrip().startswith("{"):
        return word
    try:
        found = yaml.safe_load(word)
    except yaml.YAMLError as e:
        raise RequestError(f"evaluate: {word} is not YAML: {e}") from e
    if not isinstance(found, dict) or "name" not in found:
        raise RequestError(f"evaluate: expected a model with a name, such as {{name: clip}}, got {word}")
    return found


def _one(model: str | dict[str, Any], config: str, overrides: list[str], as_json: bool) -> None:
    from tether.cli import _finish
    from tether.untrained import evaluate as evaluate_

    run = evaluate_(model, config, overrides)
    _finish(run.summary, as_json, [f"tether report {run.folder}"], run.folder)


def _several(
    models: Sequence[str | dict[str, Any]],
    config: str,
    overrides: list[str],
    output: str | None,
    as_json: bool,
) -> None:
    from rich.table import Table
    from rich.text import Text

    from tether.cli import OUT, _next
    from tether.report.robustness_files import READING, columns, lines, robustness_json
    from tether.robustness import evaluate_models

    done = evaluate_models(models, config, overrides, output)
    if as_json:
        print(json.dumps(robustness_json(done.table)))
    else:
        heads, rows = columns(done.table), lines(done.table, intervals=False)
        for start in range(1, len(heads), _ACROSS):
            part = [0, *range(start, min(start + _ACROSS, len(heads)))]
            table = Table(box=None, padding=(0, 2, 1, 0), pad_edge=False, header_style="bold")
            for i in part:
                table.add_column(Text(heads[i]), justify="right" if i else "left", no_wrap=True)
            for row in rows:
                table.add_row(*(Text(row[i]) for i in part))
            OUT.print(table)
        OUT.print(Text(READING, style="dim"))
        OUT.print(f"\nTable and figure: {', '.join(map(str, done.files))}", soft_wrap=True, markup=False)
        _next([f"tether report {done.folder}"])
    if done.failed:
        for name, message in done.failed.items():
            print(f"tether: {name} failed: {message}", file=sys.stderr)
        raise typer.Exit(1)
