"""`tether shifts ...`: look at shifts and build what they need."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from tether.errors import RequestError

app = typer.Typer(no_args_is_help=True, help="Look at shifts, and build what they need.")

_SHOWN = 12  # pictures on the sheet of reconstructions
_SIDE = 96  # px; smaller pictures are enlarged on it


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

    page = preview_(data, output, _specs(only), samples, levels(severities), overrides or [])
    print(f"Sheet: {page}")
    print(f"Next: open {page} in a browser; `tether list shifts` says what each is for", file=sys.stderr)


def _specs(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    found = yaml.safe_load(text) if text.lstrip().startswith("[") else text.split(",")
    return [s.strip() if isinstance(s, str) else s for s in found if s]


def levels(text: str) -> list[int]:
    """Severities from 1-5 or 1,3,5."""
    if span := re.fullmatch(r"(\d)-(\d)", text.strip()):
        return list(range(int(span[1]), int(span[2]) + 1))
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as e:
        raise RequestError(f"--severities: expected 1-5 or a list such as 1,3,5, got {text!r}") from e


@app.command("train-vq")
def train_vq(
    config: Annotated[str, typer.Argument(help="A preset or a path ending in .yaml.", metavar="CONFIG")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes such as data.size=64.", metavar="[key=value ...]")
    ] = None,
    backend: Annotated[
        Literal["vq", "patch_kmeans", "ae"],
        typer.Option(
            help="vq: autoencoder with a codebook. patch_kmeans: patches. ae: autoencoder without one, "
            "for adain_ae and deepaugment_lite."
        ),
    ] = "vq",
    steps: Annotated[int | None, typer.Option(help="Training steps of vq and ae.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A PNG of pictures and their reconstructions.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Train the discretiser of the shifts vq and dae on the config's training pictures, and keep it.

    Optional: a run that needs one makes it. The same command again finds it in the cache.

    Example: `tether shifts train-vq digits -o codes.png`
    """
    from tether.cli import OUT
    from tether.config import load_config
    from tether.scene import ingredients
    from tether.shifts import discrete

    schedule = discrete.Schedule() if steps is None else discrete.Schedule(steps=steps)
    discrete.check_request("train-vq", backend, None, schedule.steps)
    if output is not None:
        discrete.check_png(output)
    data, engine, _ = ingredients(load_config(config, overrides or []))
    made = discrete.kept(backend, data.train, schedule, engine.device, "train-vq")
    if output is not None:
        discrete.write_examples(output, made.network, data.train, engine.device, _SHOWN, _SIDE)
    use = {"vq": "vq", "patch_kmeans": "{name: vq, backend: patch_kmeans}", "ae": "adain_ae"}[backend]
    if as_json:
        print(json.dumps({**made.about["quality"], "folder": str(made.folder)}))
        return
    OUT.print(discrete.Quality.of(made.about).line(), markup=False, highlight=False)
    OUT.print(f"Kept: {made.folder}", soft_wrap=True, markup=False)
    if output is not None:
        OUT.print(f"Sheet: {output}", soft_wrap=True, markup=False)
    OUT.print(
        f'Next: tether train {config} method=aug_ce "method.shifts=[{use}]"',
        style="dim", markup=False, soft_wrap=True,
    )  # fmt: skip
