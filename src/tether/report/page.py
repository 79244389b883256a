"""Writes the report: one self-contained HTML page, and the same numbers as CSV and JSON beside it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from tether.errors import RequestError
from tether.evaluation.headline import KINDS, SetKey
from tether.files import write_text
from tether.report.comparison import Comparison
from tether.report.curves import loss_plot, merge_plot
from tether.report.plots import id_ood_plot, intervals_plot, severity_plot, shift_map
from tether.report.records import Run, Sample
from tether.report.shift_rows import ShiftRow
from tether.report.tables import comparison_csv, comparison_json, number, seconds
from tether.report.verdicts import bounds, percent

MAX_BYTES: Final = 3_000_000
_SAMPLE_BYTES = 1_200_000
_CURVE_BYTES = 1_000_000
_SAMPLES_A_SET = 6
_SAMPLE_CHARACTERS = 600  # of a text; the reader wants its tone, not its end
_PNG = b"\x89PNG\r\n\x1a\n"

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
    Examples and training curves are left out, and counted, where they would make it larger than 3 MB.

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
    html = page_html(comparison, runs, title, command)
    if (size := len(html.encode())) > MAX_BYTES:
        raise RequestError(
            f"report: expected a page under {MAX_BYTES // 10**6} MB, got {size / 1e6:.1f} MB from "
            f"{len(runs)} runs on {len(runs[0].keys)} sets; compare fewer methods at once"
        )
    write_text(target.with_suffix(".csv"), comparison_csv(comparison))
    write_text(target.with_suffix(".json"), comparison_json(comparison))
    write_text(target, html)
    return target


def page_html(comparison: Comparison, runs: Sequence[Run], title: str, command: str) -> str:
    """The page as text; see `write_page`."""
    script = _resource("page.js")
    curves, curves_left_out = _curves(runs)
    samples, samples_left_out = _samples(runs, comparison.classes)
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
        _resource("page.html.j2")
    )
    return template.render(
        title=title,
        command=command,
        comparison=comparison,
        runs=runs,
        tone=_TONES,
        pictures=_pictures(comparison),
        shift_table=_shift_table(comparison),
        seen=_seen(runs),
        samples=samples,
        samples_left_out=samples_left_out,
        curves=curves,
        curves_left_out=curves_left_out,
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


def _pictures(comparison: Comparison) -> dict[str, Markup | None]:
    severity = severity_plot(comparison)
    return {
        "intervals": _svg(intervals_plot(comparison)),
        "id_ood": _svg(id_ood_plot(comparison)),
        "severity": None if severity is None else _svg(severity),
        "map": _svg(shift_map(comparison)),
    }


def _svg(text: str) -> Markup:
    """Our own drawing: names in it were escaped when it was drawn."""
    return Markup(text)


def _shift_table(comparison: Comparison) -> list[tuple[SetKey, list[ShiftRow]]]:
    """Each set with its rows, one a method: the ID test first, then natural, then synthetic sets."""
    table: dict[SetKey, list[ShiftRow]] = {}
    for row in comparison.shifts:
        table.setdefault(row.key, []).append(row)
    return sorted(table.items(), key=lambda item: (KINDS.index(item[0].kind), item[0]))


def _seen(runs: Sequence[Run]) -> list[str] | None:
    known = [s for run in runs if (s := run.seen) is not None]
    return sorted(frozenset().union(*known)) if known else None


def _curves(runs: Sequence[Run]) -> tuple[list[tuple[str, list[Markup]]], int]:
    """Curves of each run until the budget is spent, and how many runs are left out."""
    kept: list[tuple[str, list[Markup]]] = []
    spent = left_out = 0
    for i, run in enumerate(runs):
        svgs = [s for s in (loss_plot(run, f"loss{i}"), merge_plot(run, f"merge{i}")) if s is not None]
        if not svgs:
            continue
        spent += sum(len(s.encode()) for s in svgs)
        if spent > _CURVE_BYTES:
            left_out += 1
        else:
            kept.append((run.name, [_svg(s) for s in svgs]))
    return kept, left_out


def _samples(
    runs: Sequence[Run], classes: Sequence[str]
) -> tuple[list[tuple[SetKey, list[Mapping[str, Any]]]], int]:
    """Examples of each set, and how many are left out: the first of every set before the second of any."""
    given = next((run.samples for run in runs if run.samples), ())
    by_set: dict[SetKey, list[Sample]] = {}
    for s in given:
        if s.text is not None or _is_png(s.image):
            by_set.setdefault(s.key, []).append(s)
    kept: dict[SetKey, list[Mapping[str, Any]]] = {key: [] for key in by_set}
    spent = left_out = 0
    for turn in range(_SAMPLES_A_SET):
        for key, samples in by_set.items():
            if turn >= len(samples):
                continue
            s = samples[turn]
            text = None if s.text is None else s.text[:_SAMPLE_CHARACTERS]
            size = len(s.image or "") + len((text or "").encode())
            if spent + size > _SAMPLE_BYTES:
                left_out += 1
                continue
            spent += size
            name = classes[s.label] if 0 <= s.label < len(classes) else str(s.label)
            kept[key].append({"text": text, "image": s.image if text is None else None, "name": name})
    left_out += sum(max(0, len(v) - _SAMPLES_A_SET) for v in by_set.values())
    return [(key, shown) for key, shown in kept.items() if shown], left_out


def _is_png(image: str | None) -> bool:
    """Whether it is whole base64 that starts like a PNG; nothing else has a place in an image tag."""
    try:
        return image is not None and base64.b64decode(image, validate=True).startswith(_PNG)
    except (binascii.Error, ValueError):
        return False
