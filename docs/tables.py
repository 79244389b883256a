"""Write what was measured into the documentation, from folders of runs.

    python docs/tables.py emoji=runs/compare-emoji sentiment=runs/compare-sentiment

Each preset's table in docs/results.md, between `<!-- table PRESET -->` and `<!-- end -->`, and that preset's
figures in the lines of docs/methods that begin with "Measured, `METHOD`". A folder that `tether ablate`
wrote, or a name that is no preset, gives its table alone. Everything else stays as it is.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tether.config import presets
from tether.evaluation.statistics import Interval
from tether.files import read_json
from tether.report.comparison import Comparison, Row, compare_runs
from tether.report.records import Run
from tether.report.runs import find_runs, read_runs

DOCS = Path(__file__).resolve().parent
HEADS = ("method", "ID", "OOD", "gap", "synthetic", "gap cut", "ID change", "ID / OOD validation")
MEASURED = re.compile(r"^Measured, `(\w+)`.*$", re.MULTILINE)
FIGURES = re.compile(r"`([a-z-]+)` (\d+\.\d / \d+\.\d(?: \(\d+\.\d / \d+\.\d\))?)")


def score(value: Interval, digits: int = 1) -> str:
    """In percent with its interval; nothing where there is none."""
    if np.isnan(value.value):
        return ""
    middle, low, high = (f"{100 * v:.{digits}f}" for v in (value.value, value.low, value.high))
    return f"{middle} [{low}, {high}]"


def validation(runs: Sequence[Run]) -> dict[str, str]:
    """ID and OOD validation accuracy of each method, the mean over its seeds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        pair = (run.number("id_val_accuracy"), run.number("ood_val_accuracy"))
        found.setdefault(run.method, []).append(pair)
    means = {name: 100 * np.mean(pairs, axis=0) for name, pairs in found.items()}
    return {name: " / ".join("–" if np.isnan(v) else f"{v:.1f}" for v in m) for name, m in means.items()}


def line(row: Row, reference: str, chosen: str) -> str:
    """One method's line; a star where the gap differs from the reference's by more than the noise."""
    cells = [
        f"`{row.method}`",
        *map(score, (row.id_accuracy, row.ood_accuracy, row.gap, row.synthetic_accuracy)),
    ]
    if row.method == reference:
        cells += ["", ""]
    else:
        star = "" if row.inside_noise else " *"
        cells += [score(row.gap_reduction, 0) + star, score(row.id_change)]
    return f"| {' | '.join([*cells, chosen])} |"


def table(comparison: Comparison, runs: Sequence[Run]) -> str:
    """The reference first, the others by OOD accuracy."""
    chosen = validation(runs)
    rows = sorted(comparison.rows, key=lambda r: (r.method != comparison.reference, -r.ood_accuracy.value))
    lines = [line(r, comparison.reference, chosen[r.method]) for r in rows]
    return "\n".join([f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|", *lines])


def ablated(found: Mapping[str, Any]) -> str:
    """The rows of an ablation in its order, the whole method first; ~ is inside the corrected noise."""
    lines = ["| row | gap | change | OOD | change | ID | change |", "|---" * 7 + "|"]
    wholes = [f"{100 * x['value']:.1f}" for x in reversed(found["whole"])]  # ID, OOD, gap
    lines.append(f"| {found['full']} (`{found['method']}`) | {' | | '.join(wholes)} | |")
    for row in found["rows"]:
        cells = [row["name"]]
        for key, change in (("gap", "gap"), ("ood_accuracy", "ood"), ("id_accuracy", "id")):
            moved = row[f"{change}_change"]
            noise = " ~" if moved["inside_noise"] else ""
            cells += [f"{100 * row[key]['value']:.1f}", score(Interval(**moved["by"])) + noise]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def put_table(text: str, preset: str, new: str) -> str:
    """The text with this preset's table changed."""
    marked = re.compile(rf"(<!-- table {re.escape(preset)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marked.search(text):
        raise SystemExit(f"docs/results.md has no table of {preset}: mark it with <!-- table {preset} -->")
    return marked.sub(lambda m: f"{m[1]}{new}\n{m[2]}", text)


def figures(comparison: Comparison) -> dict[str, str]:
    """ID / OOD of each method, in brackets the reference's."""
    pairs = {
        r.method: f"{100 * r.id_accuracy.value:.1f} / {100 * r.ood_accuracy.value:.1f}"
        for r in comparison.rows
    }
    of = comparison.reference
    return {name: pair if name == of else f"{pair} ({pairs[of]})" for name, pair in pairs.items()}


def put_figures(text: str, new: Mapping[str, Mapping[str, str]]) -> str:
    """A method page with the figures of these presets changed, the others kept."""

    def changed(found: re.Match[str]) -> str:
        kept = dict(FIGURES.findall(found[0]))
        kept.update({preset: of[found[1]] for preset, of in new.items() if found[1] in of})
        if not kept:
            return found[0]
        said = ", ".join(f"`{preset}` {pair}" for preset, pair in sorted(kept.items()))
        brackets = ", in brackets `finetune`" if found[1] != "finetune" else ""
        return (
            f"Measured, `{found[1]}` (ID / OOD accuracy in percent, one seed{brackets}; "
            f"[Results](../results.md)): {said}."
        )

    return MEASURED.sub(changed, text)


def write(given: Sequence[tuple[str, Path]], tables: bool) -> None:
    """All tables and lines of these presets."""
    new = {}
    for preset, folder in given:
        page = DOCS / "results.md"
        if (folder / "ablation.json").is_file():
            page.write_text(put_table(page.read_text(), preset, ablated(read_json(folder / "ablation.json"))))
            continue
        runs = read_runs(find_runs(folder))
        comparison = compare_runs(runs)
        if preset in presets():  # the lines are those of whole comparisons, one seed
            new[preset] = figures(comparison)
        if tables:
            page.write_text(put_table(page.read_text(), preset, table(comparison, runs)))
    for page in sorted((DOCS / "methods").glob("*.md")):
        page.write_text(put_figures(page.read_text(), new))


def main() -> None:
    """Read the folders, write the pages."""
    parser = argparse.ArgumentParser(description="Write what was measured into the documentation.")
    parser.add_argument("runs", nargs="+", metavar="PRESET=FOLDER")
    parser.add_argument("--lines-only", action="store_true", help="only the method pages")
    given = parser.parse_args()
    pairs = [name.partition("=")[::2] for name in given.runs]
    write([(name, Path(folder)) for name, folder in pairs], not given.lines_only)


if __name__ == "__main__":
    main()
