"""A gate's judgement for the terminal, as sentences and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tether.report.gate import Checked, Limit
from tether.report.strict_json import finite


def print_gate(checked: Sequence[Checked], confident: bool, console: Console) -> None:
    """Print a line a limit, and the reasons where the run falls short."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("", "limit", "measured", "95% interval", "on"):
        table.add_column(name)
    for c in checked:
        ends = "" if not c.measured.known else f"[{c.measured.low:.4f}, {c.measured.high:.4f}]"
        table.add_row(
            Text("ok" if c.met else "FAIL", style="green" if c.met else "bold red"),
            wanted(c.limit), f"{c.measured.value:.4f}", Text(ends), c.about,
        )  # fmt: skip
    console.print(table)
    if confident:
        console.print("judged by the bad end of the interval", style="dim")


def wanted(limit: Limit) -> str:
    """The limit in words, such as `gap at most 0.1`."""
    return f"{limit.what} at {'least' if limit.side == 'min' else 'most'} {limit.value:g}"


def reasons(checked: Sequence[Checked]) -> list[str]:
    """A sentence for each limit that is not met."""
    out = []
    for c in checked:
        if not c.met:
            on = f" ({c.about})" if c.about else ""
            end = (
                ""
                if c.used == c.measured.value
                else f", the bad end of an interval around {c.measured.value:.4f}"
            )
            out.append(f"expected {wanted(c.limit)}, got {c.used:.4f}{end}{on}")
    return out


def gate_json(checked: Sequence[Checked], confident: bool) -> str:
    """The judgement as strict JSON."""
    rows = [asdict(c) for c in checked]
    for row in rows:
        row["measured"] = finite(row["measured"])
    whole = {"met": all(c.met for c in checked), "confident": confident, "limits": rows}
    return json.dumps(whole, indent=2, allow_nan=False)
