"""Writes the report: one self-contained HTML page, and the same numbers as CSV and JSON beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tether.errors import RequestError
from tether.evaluation.groups import SMALLEST_GROUP
from tether.evaluation.headline import KINDS, SetKey, is_seen
from tether.evaluation.headline_metric import score_name, score_title
from tether.files import write_text
from tether.progress import bar
from tether.report.comparison import Comparison
from tether.report.curves import decisions
from tether.report.figures import curves_of, figures_of
from tether.report.folded import corruption_errors, gaps_by_shift, more_costs, more_scores, part_corrupted
from tether.report.gallery import DISAGREEMENT_BYTES, SAMPLE_BYTES, disagreements_of, examples_of
from tether.report.mistakes import LARGEST_MATRIX, matrices, weaknesses
from tether.report.plots import LINES
from tether.report.records import Run
from tether.report.scatter import cost
from tether.report.seen import seen_table
from tether.report.shift_rows import ShiftRow
from tether.report.svg import Drawing
from tether.report.tables import comparison_csv, comparison_json, number, seconds
from tether.report.verdicts import bounds, percent

MAX_BYTES: Final = 3_000_000
CURVE_BYTES: Final = 600_000
CONFUSION_BYTES: Final = 500_000
_CELL_BYTES = 24  # of a matrix
_ROW_BYTES = 320  # of a method on a set, in the two tables of shifts
_CONFIG_CHARACTERS = 20_000
_MANY = 12  # methods; on paper a table of more is set narrower

# Colour only repeats what the word says.
_TONES = {
    "reference": "plain",
    "target met": "good",
    "smaller": "plain",
    "inside the noise": "plain",
    "larger": "bad",
    "not measured": "bad",
}


def write_page(comparison: Comparison, runs: Sequence[Run], target: Path, title: str, command: str) -> Path:
    """Write the page to `target`, and `target` with the endings .csv and .json beside it.

    The page loads nothing: pictures are SVG, examples are data URIs, and its policy forbids the network.
    Examples, confusion matrices and training curves are left out, and counted, where they would make it
    larger than 3 MB.

    Args:
        comparison: of these runs.
        runs: whose logs, examples and configurations are shown.
        target: such as `report.html`.
        title: heading of the page.
        command: the command line that made the runs, as typed.

    Returns:
        The target.

    Raises:
        RequestError: when the target cannot be written, or the page is too large even so.

    Example:
        >>> runs = read_runs(find_runs(Path("runs")))  # doctest: +SKIP
        >>> write_page(compare_runs(runs), runs, Path("report.html"), "Digits", "...")  # doctest: +SKIP
    """
    target = Path(target)
    html = page_html(comparison, runs, title, command, target.stem)
    if (size := len(html.encode())) > MAX_BYTES:
        raise RequestError(
            f"report: expected a page under {MAX_BYTES // 10**6} MB, got {size / 1e6:.1f} MB from "
            f"{len(runs)} runs on {len(runs[0].keys)} sets; compare fewer methods at once"
        )
    write_text(target.with_suffix(".csv"), comparison_csv(comparison))
    write_text(target.with_suffix(".json"), comparison_json(comparison))
    write_text(target, html)
    return target


def page_html(
    comparison: Comparison, runs: Sequence[Run], title: str, command: str, stem: str = "report"
) -> str:
    """The page as text; see `write_page`. `stem` is what the CSV and JSON beside it are called."""
    script = _resource("page.js")
    over_all, of_runs = figures_of(comparison, runs), curves_of(runs)
    with bar("report", len(over_all) + len(of_runs)) as progress:
        figures = {}
        for name, drawing in over_all.items():
            figures[name] = _svg(drawing)
            progress.advance()
        share = _share_left(comparison, runs, figures.values())
        curves: list[tuple[str, list[Markup], list[tuple[int, str, str]]]] = []
        budget = share * CURVE_BYTES
        for run, drawn in of_runs:
            svgs = [_svg(d) for d in drawn]
            budget -= sum(len(svg) for svg in svgs)
            if budget < 0:
                break
            curves.append((run.name, svgs, decisions(run)))
            progress.advance()
    cells = 2 * len(comparison.classes) ** 2
    confusions = [
        found
        for r in comparison.rows[: int(share * CONFUSION_BYTES / (cells * _CELL_BYTES))]
        if (found := matrices(r.method, comparison, runs))
    ]
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        _resource("page.html.j2")
    )
    return template.render(
        title=title,
        command=command,
        stem=stem,
        comparison=comparison,
        runs=runs,
        tone=_TONES,
        counts=_counts(comparison),
        many=len(comparison.rows) > _MANY,
        lines=LINES,
        smallest_group=SMALLEST_GROUP,
        figures=figures,
        score=score_name(comparison.metric),
        score_title=score_title(comparison.metric),
        line=comparison.line,
        more_scores=more_scores(comparison),
        part_corrupted=part_corrupted(comparison),
        gaps=gaps_by_shift(comparison),
        corruption=corruption_errors(comparison),
        more_costs=more_costs(comparison, runs),
        cost=cost,
        shift_table=_shift_table(comparison),
        seen=seen_table(runs),
        examples=examples_of(runs, comparison.classes, int(share * SAMPLE_BYTES)),
        disagreements=disagreements_of(runs, comparison.classes, int(share * DISAGREEMENT_BYTES)),
        weaknesses=(weakest := weaknesses(comparison, runs)),
        grouped=any(w.id_group or w.ood_group for w in weakest),
        tested_seen=_tested_seen(comparison),
        confusions=confusions,
        confusions_left_out=len(comparison.rows) - len(confusions),
        most_classes=LARGEST_MATRIX,
        curves=curves,
        curves_left_out=len(of_runs) - len(curves),
        config_characters=_CONFIG_CHARACTERS,
        css=Markup(_resource("page.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        percent=percent,
        bounds=bounds,
        number=number,
        seconds=seconds,
    )


def _resource(name: str) -> str:
    return resources.files("tether.report").joinpath(name).read_text(encoding="utf-8")


def _svg(drawing: Drawing) -> Markup:
    """Our own drawing: names in it were escaped when it was drawn."""
    return Markup(drawing.inline())


def _share_left(comparison: Comparison, runs: Sequence[Run], figures: Iterable[Markup]) -> float:
    """What share of their budgets samples, matrices and curves get beside what cannot be left out."""
    fixed = sum(len(svg.encode()) for svg in figures) + _ROW_BYTES * len(comparison.shifts) + 60_000
    fixed += sum(len(run.config_text[:_CONFIG_CHARACTERS].encode()) for run in runs)
    wanted = SAMPLE_BYTES + DISAGREEMENT_BYTES + CURVE_BYTES + CONFUSION_BYTES
    return max(0.0, min(1.0, (MAX_BYTES - fixed) / wanted))


def _counts(comparison: Comparison) -> str:
    """How many methods came out how, as one sentence's middle."""
    found = [r.outcome for r in comparison.rows if r.outcome != "reference"]
    return ", ".join(f"{found.count(o)} {o}" for o in _TONES if o in found)


def _tested_seen(comparison: Comparison) -> list[str]:
    """Names of the tested shifts that some method saw in training."""
    return sorted({s.key.evalset for s in comparison.shifts if is_seen(s.key, comparison.seen)})


def _shift_table(comparison: Comparison) -> list[tuple[SetKey, list[ShiftRow]]]:
    """Each set with its rows, one a method: the ID test first, then natural, then synthetic sets."""
    table: dict[SetKey, list[ShiftRow]] = {}
    for row in comparison.shifts:
        table.setdefault(row.key, []).append(row)
    return sorted(table.items(), key=lambda item: (KINDS.index(item[0].kind), item[0]))
