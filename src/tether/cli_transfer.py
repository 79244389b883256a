"""`tether transfer`: linear probe and nearest neighbours on other data, before tuning and after it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def transfer(
    run: Annotated[str, typer.Argument(help="The folder of a finished training run.")],
    data: Annotated[
        list[str], typer.Argument(help="Presets, or configs ending in .yaml.", metavar="DATA ...")
    ],
    limit: Annotated[int | None, typer.Option(help="Samples of each set, at most.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Ask whether the tuned features still serve other tasks.

    A linear probe and a vote of nearest neighbours on other data, with the initial model's features and with
    the run's. The results go into transfer.json in the run's folder.

    Example: `tether transfer runs/digits-rdft_s0 emoji`
    """
    from rich.table import Table
    from rich.text import Text

    from tether.cli import OUT
    from tether.other_tasks import WAYS
    from tether.other_tasks import transfer as transfer_

    found = transfer_(run, data, limit)
    if as_json:
        print(json.dumps(found))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for i, head in enumerate(("data", "with", "before %", "after %", "change, points", "test samples")):
        table.add_column(head, justify="right" if i > 1 else "left")
    for name, row in found.items():
        for way, said in WAYS.items():
            one = row[way]
            cells = (
                name,
                said,
                _percent(one["before"]),
                _percent(one["after"]),
                _change(one),
                str(row["test"]),
            )
            table.add_row(*(Text(cell) for cell in cells))
    OUT.print(table)
    OUT.print(Text("[ ] 95% interval, paired over test samples   ~ inside the noise", style="dim"))


def _percent(x: dict[str, float]) -> str:
    return f"{100 * x['value']:.1f}"


def _change(one: dict[str, Any]) -> str:
    value, low, high = (100 * one["change"][k] for k in ("value", "low", "high"))
    return f"{value:+z.1f} [{low:+z.1f}, {high:+z.1f}]" + (" ~" if one["inside_noise"] else "")
