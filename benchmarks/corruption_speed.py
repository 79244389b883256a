"""Images a second of every image corruption against `imagecorruptions-imaug`, in turn, in one process.

The pictures are the 20 ImageNet photos that foolbox carries, repeated as often as asked. Each round times,
for each corruption and severity, our batch and then the reference's loop over a few of the same pictures; a
ratio is the median over rounds and severities of (reference's seconds an image) / (our seconds an image).

    pip install -e '.[test]'
    python benchmarks/corruption_speed.py [--images 16] [--size 224] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the commands do

import imagecorruptions
import torch
from rich.console import Console
from rich.table import Table

from tether.batch import Batch
from tether.data.photos import photos
from tether.shifts import SEVERITIES, Draws, all_shifts, get

FEWEST = 3  # pictures that the reference gets in a round at least: it takes them one by one


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def loop(name: str, pictures: list, severity: int) -> None:
    for picture in pictures:
        imagecorruptions.corrupt(picture, severity, corruption_name=name)


def measure(name: str, batch: Batch, pictures: list, rounds: int, severities: list[int]) -> dict:
    shift, ours, theirs, ratios = get(name), [], [], []
    for severity in severities:  # tables are built and code is compiled before the clock runs
        shift(batch, severity, Draws(0))
        loop(name, pictures[:1], severity)
    # Both sides work for about as long, so that a busy machine interrupts both.
    whole = seconds(partial(shift, batch, severities[0], Draws(0)))
    one = seconds(partial(loop, name, pictures[:1], severities[0]))
    n = min(max(round(whole / one), FEWEST), len(batch))
    for seed in range(rounds):
        draws = Draws(seed)
        few = [pictures[(seed * n + i) % len(pictures)] for i in range(n)]
        for severity in severities:
            a = seconds(partial(shift, batch, severity, draws)) / len(batch)
            b = seconds(partial(loop, name, few, severity))
            ours.append(a)
            theirs.append(b / n)
            ratios.append(b / n / a)
    return {
        "corruption": name,
        "ours_per_second": 1 / statistics.median(ours),
        "reference_per_second": 1 / statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ours_seconds": statistics.median(ours),
        "reference_seconds": statistics.median(theirs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16, help="pictures in our batch")
    parser.add_argument("--size", type=int, default=224, help="px a side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--severities", default="1,3,5", help="of 1 to 5, with commas")
    parser.add_argument("--threads", type=int, help="of torch; without it as many as it takes")
    parser.add_argument("--only", default="", help="names of corruptions, with commas")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    asked = parser.parse_args()
    severities = [int(s) for s in asked.severities.split(",")]
    if not set(severities) <= set(SEVERITIES) or asked.images < 1 or asked.size < 32:
        parser.error("expected severities of 1 to 5, at least one image, and at least 32 px")
    if asked.threads:
        torch.set_num_threads(asked.threads)

    x, _ = photos(asked.size)
    x = x.repeat(-(-asked.images // len(x)), 1, 1, 1)[: asked.images].contiguous()
    batch = Batch(x, torch.zeros(len(x), dtype=torch.long), torch.arange(len(x)))
    pictures = list((x[:20] * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy())
    registered = {s.name for s in all_shifts() if s.modality == "image"}
    every = imagecorruptions.get_corruption_names("all")
    chosen = [n for n in every if n in registered and (not asked.only or n in asked.only.split(","))]

    console = Console()
    title = f"{asked.size} px, batch of {asked.images}, {torch.get_num_threads()} threads of torch"
    table = Table("corruption", "ours, images/s", "reference, images/s", "ratio", title=title)
    rows = []
    with console.status("measuring") as status:
        for name in chosen:
            status.update(f"measuring {name}")
            rows.append(row := measure(name, batch, pictures, asked.rounds, severities))
            slow = row["ratio"] < 1
            cells = (f"{row['ours_per_second']:.0f}", f"{row['reference_per_second']:.0f}")
            table.add_row(name, *cells, f"{row['ratio']:.2f}", style="red" if slow else None)
    total = sum(r["reference_seconds"] for r in rows) / sum(r["ours_seconds"] for r in rows)
    table.add_section()
    table.add_row("all, one after the other", "", "", f"{total:.2f}")
    console.print(table)
    behind = [r["corruption"] for r in rows if r["ratio"] < 1]
    console.print(f"slower than the reference: {', '.join(behind) or 'none'}")
    console.print(f"not compared: {', '.join(n for n in every if n not in registered) or 'none'}")
    if asked.json:
        asked.json.write_text(json.dumps({"title": title, "rows": rows, "ratio_of_sums": total}, indent=2))


if __name__ == "__main__":
    main()
