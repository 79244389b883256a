"""The table of costs: units, old runs, columns that nobody measured."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from tether.report.efficiency import COLUMNS, efficiency_csv, efficiency_lines, efficiency_markdown

NEW = {
    "device": "CPU, 2 threads", "devices": 1, "evaluate_seconds": 90.0, "evaluate_device_hours": 0.025,
    "train_step_flops": 7.5e9, "inference_flops": 1.2e8, "inference_flops_unmerged": 1.5e8,
    "latency_seconds": 0.0123, "latency_unmerged_seconds": 0.0189, "inference_samples_per_second": 250.0,
}  # fmt: skip


def test_an_old_run_stands_beside_a_new_one(runs) -> None:
    old, new = runs[0], replace(runs[1], summary={**runs[1].summary, **NEW})
    heads, first, second = efficiency_lines([old, new])
    row = dict(zip(heads, second, strict=True))
    assert row["step, GFLOP"] == "7.50"
    assert row["inference, GFLOP a sample"] == "0.12"
    assert (row["latency, ms"], row["unmerged, ms"]) == ("12.3", "18.9")
    assert row["evaluation, device-hours"] == "0.025"
    assert dict(zip(heads, first, strict=True))["step, GFLOP"] == "–"
    assert "training, device-hours" not in heads  # nobody measured it


def test_csv_keeps_units_and_leaves_unknown_cells_empty(runs) -> None:
    new = replace(runs[1], summary={**runs[1].summary, **NEW})
    rows = list(csv.DictReader(io.StringIO(efficiency_csv([runs[0], new]))))
    assert rows[1]["latency_seconds"] == "0.0123"
    assert rows[0]["latency_seconds"] == ""
    assert set(COLUMNS) < set(rows[0])
    assert float(rows[0]["train_seconds"]) == runs[0].summary["train_seconds"]


def test_markdown_says_where_it_was_measured(runs) -> None:
    new = replace(runs[1], summary={**runs[1].summary, **NEW})
    assert "Measured on CPU, 2 threads." in efficiency_markdown([new])
    assert "Measured on" not in efficiency_markdown([runs[0]])
