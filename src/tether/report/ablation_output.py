"""An ablation's table for the terminal, as CSV, JSON and a page of its own."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tether.files import write_text
from tether.report.ablation import CONTROL, AblationRow, AblationTable, Change, points
from tether.report.resources import resource
from tether.report.strict_json import strict_json, unknown
from tether.report.svg import INK, Drawing, looks
from tether.report.verdicts import percent


def print_ablation(table: AblationTable, console: Console) -> None:
    """Print the rows by how much they carry, and the findings."""
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    shown.add_column("row")
    for name in ("gap %", "gap change", "OOD %", "OOD change", "ID %", "ID change"):
        shown.add_column(name, justify="right", no_wrap=True)
    inside, shifted, gap = table.whole
    shown.add_row(
        Text(f"{table.full} ({table.method})", style="bold"),
        percent(gap.value), "", percent(shifted.value), "", percent(inside.value), "",
    )  # fmt: skip
    for row in table.rows:
        called = Text(row.name, style="italic" if row.kind == CONTROL else "")
        if row.same:
            called.append(f" (= {', '.join(row.same)})", style="dim")
        shown.add_row(
            called,
            percent(row.gap.value), change(row.gap_change),
            percent(row.ood_accuracy.value), change(row.ood_change),
            percent(row.id_accuracy.value), change(row.id_change),
        )  # fmt: skip
    console.print(shown)
    console.print(
        Text(
            "\nchange: row minus whole method, in points, with its 95% interval\n"
            "~ inside the noise, corrected over the rows (Holm)\n"
        )
    )
    for line in (*table.findings, *(f"note: {n}" for n in table.notes)):
        console.print(Text(line))
    for name, why in table.skipped.items():
        console.print(Text(f"skipped: {name}: {why}"))


def change(c: Change) -> str:
    """A change with its interval, marked where it is inside the noise."""
    return points(c.by) + (" ~" if c.inside_noise else "")


def write_ablation(table: AblationTable, folder: Path, command: str) -> Path:
    """Write `ablation.csv`, `ablation.json` and `ablation.html`; returns the page.

    Args:
        table: of `ablation_table`.
        folder: of all its runs.
        command: how to get the same again.

    Raises:
        RequestError: a file cannot be written.
    """
    write_text(folder / "ablation.csv", ablation_csv(table))
    write_text(folder / "ablation.json", ablation_json(table, command))
    write_text(folder / "ablation.html", ablation_page(table, command))
    return folder / "ablation.html"


def ablation_csv(table: AblationTable) -> str:
    """One line a row, the whole method first; an interval becomes three columns."""
    lines = [_flat(row) for row in table.rows]
    whole: dict[str, Any] = {"name": table.full, "kind": "full"}
    for key, x in zip(("id_accuracy", "ood_accuracy", "gap"), table.whole, strict=True):
        whole |= {key: x.value, f"{key}_low": x.low, f"{key}_high": x.high}
    names = list(dict.fromkeys(k for line in (*lines, whole) for k in line))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in (whole, *lines):
        writer.writerow({k: "" if unknown(v) else v for k, v in line.items()})
    return buffer.getvalue()


def ablation_json(table: AblationTable, command: str) -> str:
    """Everything in the table as strict JSON; what is not known is null."""
    raw = {"command": command, **asdict(table)}
    for line, row in zip(raw["rows"], table.rows, strict=True):
        for key in ("id_change", "ood_change", "gap_change"):
            line[key]["inside_noise"] = getattr(row, key).inside_noise
    return strict_json(raw)


def ablation_page(table: AblationTable, command: str) -> str:
    """The table with a picture of the changes, as one page that loads nothing."""
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        resource("ablation.html.j2")
    )
    return template.render(
        table=table,
        command=command,
        percent=percent,
        change=change,
        picture=Markup(changes_plot(table)),
    )


def changes_plot(table: AblationTable) -> str:
    """Changes of gap and of OOD accuracy, a line a row, with their intervals: SVG."""
    rows = [r for r in table.rows if r.gap_change.by.known or r.ood_change.by.known]
    series = {"gap": "gap_change", "OOD accuracy": "ood_change"}
    style = looks(list(series))

    def paint(figure: Figure) -> None:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (title, key) in zip(axes, series.items(), strict=True):
            for y, row in enumerate(reversed(rows)):
                c: Change = getattr(row, key)
                if not c.by.known:
                    continue
                ax.plot([100 * c.by.low, 100 * c.by.high], [y, y], color=style[title].colour, lw=1.5)
                ax.plot(
                    100 * c.by.value, y, style[title].marker, color=style[title].colour, ms=5,
                    fillstyle="none" if c.inside_noise else "full",
                )  # fmt: skip
            ax.axvline(0, color=INK, lw=0.8)
            ax.set_title(f"change of {title}, points")
        axes[0].set_yticks(range(len(rows)), [r.name for r in reversed(rows)])

    label = (
        "Changes against the whole method with their 95% intervals, rows from the largest growth of the gap "
        "down; hollow markers are inside the noise."
    )
    return Drawing("changes", label, (9.0, 1.0 + 0.28 * max(len(rows), 1)), paint).inline()


def _flat(row: AblationRow) -> dict[str, Any]:
    out: dict[str, Any] = {
        "name": row.name,
        "kind": row.kind,
        "same": "; ".join(row.same),
        "seeds": " ".join(map(str, row.seeds)),
        "steps": row.steps,
    }
    for key in ("id_accuracy", "ood_accuracy", "gap"):
        x = getattr(row, key)
        out |= {key: x.value, f"{key}_low": x.low, f"{key}_high": x.high}
    for key in ("id_change", "ood_change", "gap_change"):
        c: Change = getattr(row, key)
        out |= {key: c.by.value, f"{key}_low": c.by.low, f"{key}_high": c.by.high}
        out |= {f"{key}_p_holm": c.p_holm, f"{key}_inside_noise": c.inside_noise}
    return out
