"""Commands on shifts: make what they are built from, look at what they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

shifts_app = typer.Typer(no_args_is_help=True, help="Make what shifts are built from; look at them.")

_SHOWN = 12  # pictures on the sheet of reconstructions
_SIDE = 96  # px; smaller pictures are enlarged on it


@shifts_app.command("train-vq")
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
    from tether.run import ingredients
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
