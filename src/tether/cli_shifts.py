"""`tether shifts ...`: look at shifts and build what they need."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from tether.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="Look at shifts, and build what they need.")


@app.command()
def preview(
    data: Annotated[
        str, typer.Argument(help="A preset, a .yaml config, a folder of pictures, a .csv or a .txt.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the config.", metavar="[key=value ...]")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path("sheet.html"),
    only: Annotated[
        str | None,
        typer.Option("--shifts", help="Names, comma-separated, or a YAML list with options; default: all."),
    ] = None,
    samples: Annotated[int, typer.Option(help="How many samples.")] = 3,
    severities: Annotated[str, typer.Option(help="Such as 1-5 or 1,3,5.")] = "1-5",
) -> None:
    """Show each shift on your own samples, severities side by side.

    Example: `tether shifts preview digits -o sheet.html --severities 1,3,5`
    """
    from tether.preview import preview as preview_

    page = preview_(data, output, _specs(only), samples, _levels(severities), overrides or [])
    print(f"Sheet: {page}")
    print(f"Next: open {page} in a browser; `tether list shifts` says what each is for", file=sys.stderr)


def _specs(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    found = yaml.safe_load(text) if text.lstrip().startswith("[") else text.split(",")
    return [s.strip() if isinstance(s, str) else s for s in found if s]


def _levels(text: str) -> list[int]:
    if span := re.fullmatch(r"(\d)-(\d)", text.strip()):
        return list(range(int(span[1]), int(span[2]) + 1))
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as e:
        raise RequestError(f"--severities: expected 1-5 or a list such as 1,3,5, got {text!r}") from e
