"""What models cost, side by side, from `summary.json` (METHODS 1.12, efficiency)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence

from tether.report.records import Run
from tether.report.tables import number, seconds

UNKNOWN = "–"


def gigaflops(x: float) -> str:
    """Operations in 10^9, or "–".

    Example:
        >>> gigaflops(1.5e9), gigaflops(2e5)
        ('1.50', '0.0002')
    """
    if not math.isfinite(x):
        return UNKNOWN
    return f"{x / 1e9:.2f}" if x >= 1e7 else f"{x / 1e9:.1g}"


def _milliseconds(x: float) -> str:
    return f"{1000 * x:.1f}" if math.isfinite(x) else UNKNOWN


def _plain(x: float) -> str:
    return f"{x:.0f}" if x >= 10 else f"{x:.1f}" if math.isfinite(x) else UNKNOWN


def _hours(x: float) -> str:
    return f"{x:.3f}" if math.isfinite(x) else UNKNOWN


def _gibibytes(x: float) -> str:
    return f"{x / 2**30:.2f}" if math.isfinite(x) and x > 0 else UNKNOWN


# Key of summary.json -> heading with the unit, and how it is shown.
COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "trainable_parameters": ("trained", number),
    "total_parameters": ("parameters", number),
    "train_seconds": ("training", seconds),
    "teacher_seconds": ("teachers", seconds),
    "choose_seconds": ("choosing", seconds),
    "evaluate_seconds": ("evaluation", seconds),
    "train_device_hours": ("training, device-hours", _hours),
    "teacher_device_hours": ("teachers, device-hours", _hours),
    "choose_device_hours": ("choosing, device-hours", _hours),
    "evaluate_device_hours": ("evaluation, device-hours", _hours),
    "step_seconds": ("step", seconds),
    "train_samples_per_second": ("training, samples/s", _plain),
    "peak_memory_bytes": ("peak memory, GiB", _gibibytes),
    "train_step_flops": ("step, GFLOP", gigaflops),
    "inference_flops": ("inference, GFLOP a sample", gigaflops),
    "inference_flops_unmerged": ("unmerged, GFLOP", gigaflops),
    "latency_seconds": ("latency, ms", _milliseconds),
    "latency_unmerged_seconds": ("unmerged, ms", _milliseconds),
    "inference_samples_per_second": ("inference, samples/s", _plain),
}


def efficiency_csv(runs: Sequence[Run]) -> str:
    """A line a run, in the units of `summary.json`; empty where a run did not measure it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "seed", "device", "devices", *COLUMNS])
    for run in runs:
        said = [run.summary.get(key) for key in ("device", "devices", *COLUMNS)]
        writer.writerow([run.method, run.seed, *("" if v is None else v for v in said)])
    return buffer.getvalue()


def efficiency_lines(runs: Sequence[Run]) -> list[list[str]]:
    """Headings, then a row a run; a column that no run measured is left out.

    Example:
        >>> efficiency_lines(runs)[0][:3]  # doctest: +SKIP
        ['method', 'trained', 'parameters']
    """
    keys = [key for key in COLUMNS if any(math.isfinite(run.number(key)) for run in runs)]
    names = [run.method if len({r.seed for r in runs}) == 1 else run.name for run in runs]
    rows = [[name, *(_shown(run, key) for key in keys)] for name, run in zip(names, runs, strict=True)]
    return [["method", *(COLUMNS[key][0] for key in keys)], *rows]


def efficiency_markdown(runs: Sequence[Run]) -> str:
    """The same as a Markdown table, with what it was measured on."""
    heads, *rows = efficiency_lines(runs)
    cells = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    devices = sorted({str(run.summary["device"]) for run in runs if run.summary.get("device")})
    where = f"Measured on {', '.join(devices)}. " if devices else ""
    table = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells)
    return f"{table}\n\n{where}{READING}\n"


READING = (
    "Times are wall clock and depend on what else ran. GFLOP are counted: matrix products and convolutions, "
    "a multiplication and an addition being two. Latency is that of one sample, merged and unmerged in turn."
)


def _shown(run: Run, key: str) -> str:
    value = run.number(key)
    return COLUMNS[key][1](value) if math.isfinite(value) else UNKNOWN
