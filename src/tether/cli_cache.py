"""`tether cache`: what was fetched and made, how large it is, and how to make room."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer

# What a room of the cache holds; others are shown by their name.
SAID = {
    "autoencoders": "codebooks and small autoencoders of shifts",
    "data": "data sets made from packages",
    "packages": "fetched packages",
    "probes": "linear probes",
    "tables": "tables, mapped from disk",
    "teachers": "trained teachers",
    "weights": "pretrained weights",
}


def cache(
    max_gb: Annotated[
        float | None, typer.Option(help="Remove the longest unused entries until it holds so many gigabytes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for programs.")] = False,
) -> None:
    """Show what the cache folder holds, or make room in it.

    All of it can be fetched or made again. What was used within the hour stays. $TETHER_CACHE_GB is a bound
    that every run keeps by itself.

    Example: `tether cache --max-gb 5`
    """
    from rich.table import Table

    from tether.cached import GB, entries, trim
    from tether.cli import OUT
    from tether.errors import RequestError
    from tether.files import cache_dir

    if max_gb is not None and not max_gb >= 0:
        raise RequestError(f"--max-gb: expected 0 or more, got {max_gb}")
    gone = [] if max_gb is None else trim(max_gb * GB)
    sizes: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for entry in entries():
        sizes[entry.room] += entry.size
        counts[entry.room] += 1
    if as_json:
        rooms = {room: {"bytes": sizes[room], "entries": counts[room]} for room in sorted(sizes)}
        freed = sum(e.size for e in gone)
        print(json.dumps({"folder": str(cache_dir()), "rooms": rooms, "removed": len(gone), "freed": freed}))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for head, side in (("room", "left"), ("entries", "right"), ("MB", "right"), ("what", "left")):
        table.add_column(head, justify=side)  # type: ignore[arg-type]
    for room, size in sizes.most_common():
        table.add_row(room, str(counts[room]), f"{size / 1e6:.0f}", SAID.get(room, ""))
    table.add_row("all", str(sum(counts.values())), f"{sum(sizes.values()) / 1e6:.0f}", str(cache_dir()))
    OUT.print(table)
    if gone:
        OUT.print(f"Removed {len(gone)} entries, {sum(e.size for e in gone) / 1e6:.0f} MB.")
