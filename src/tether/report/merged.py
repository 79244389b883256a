"""Pictures of a merge: validation over mu, which chose, and apart from it the test sets, which did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from tether.report.svg import INK, Drawing, clip, looks
from tether.report.verdicts import percent

Rows = Sequence[Mapping[str, Any]]
VALIDATION = {"id_val": "ID validation", "ood_val": "OOD validation"}
TEST = {"id_test": "ID test", "ood_test": "OOD test"}


def write_merge_pictures(folder: Path, name: str, rows: Rows) -> list[Path]:
    """Write `merge.png`, and `merge-test.png` where the rows have test accuracies.

    Args:
        folder: to write into.
        name: of the run, for the title.
        rows: of `merge.jsonl`, by mu.
    """
    written = [
        _picture(folder / "merge.png", f"{clip(name)}: validation, on which mu is chosen", rows, VALIDATION)
    ]
    if any("id_test" in row for row in rows):
        title = f"{clip(name)}: test sets, which steer nothing"
        written.append(_picture(folder / "merge-test.png", title, rows, TEST))
    return written


def _picture(target: Path, title: str, rows: Rows, series: Mapping[str, str]) -> Path:
    mu = np.array([row["mu"] for row in rows])
    style = looks(list(series))

    def paint(figure: Figure) -> None:
        ax = figure.add_subplot()
        for key, label in series.items():
            values = np.array([np.nan if row.get(key) is None else row[key] for row in rows])
            if np.isfinite(values).any():
                look = style[key]
                ax.plot(
                    mu, 100 * values, color=look.colour, marker=look.marker, ls=look.dash, ms=4, label=label
                )
        for row in rows:
            if row["chosen"]:
                ax.axvline(row["mu"], color=INK, ls=":", lw=1, label=f"chosen: {row['mu']:.3g}")
        ax.set_xlabel("mu (0: before training, 1: after)")
        ax.set_ylabel("accuracy, %")
        ax.set_title(title)
        ax.legend(fontsize=8)

    return Drawing("merge", title, (6.0, 3.6), paint).write(target)


def print_merge(rows: Rows, console: Console) -> None:
    """Print the line: accuracies in percent over mu, the chosen one marked."""
    titles = {**VALIDATION, **(TEST if any("id_test" in row for row in rows) else {})}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in ("mu", *(f"{t} %" for t in titles.values()), ""):
        table.add_column(column, justify="right")
    for row in rows:
        values = [float("nan") if row.get(k) is None else float(row[k]) for k in titles]
        table.add_row(f"{row['mu']:.3g}", *(percent(v) for v in values), "<- chosen" if row["chosen"] else "")
    console.print(table)
