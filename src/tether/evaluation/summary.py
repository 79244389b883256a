"""`summary.json`: the few numbers a run is known by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tether.evaluation.efficiency import Efficiency
from tether.evaluation.headline import SetKey, headline_kind, kind_weights
from tether.evaluation.metrics import robustness_gap
from tether.files import write_json
from tether.finish import Finished, Scores
from tether.training import Fitted


def headline_numbers(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """ID, OOD and synthetic accuracy and the robustness gap, from accuracy rows of `results.jsonl`."""
    kept = [r for r in rows if r["metric"] == "accuracy"]
    sets = [SetKey(r["evalset"], r["kind"], r["severity"]) for r in kept]
    values = np.array([r["value"] for r in kept])

    def mean(kind: str) -> float | None:
        if all(s.kind != kind for s in sets):
            return None
        return float(kind_weights(sets, kind) @ values)

    id_accuracy = mean("id")
    assert id_accuracy is not None
    ood = mean(headline_kind(sets))
    return {
        "id_accuracy": id_accuracy,
        "ood_accuracy": ood,
        "robustness_gap": None if ood is None else robustness_gap(id_accuracy, ood),
        "synthetic_accuracy": mean("synthetic"),
    }


def write_summary(
    folder: Path,
    name: str,
    seed: int,
    counts: tuple[int, int],
    fitted: Fitted,
    teacher_seconds: float,
    finished: Finished,
    validation: Scores,
    seen: Sequence[str] = (),
    cost: Efficiency | None = None,
) -> dict[str, Any]:
    """Write it last: its presence says that the run is whole."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    summary: dict[str, Any] = {
        "method": name,
        "seed": seed,
        **headline_numbers(rows),
        "id_val_accuracy": validation.id_val,
        "ood_val_accuracy": validation.ood_val,
        "trainable_parameters": counts[0],
        "total_parameters": counts[1],
        "train_seconds": fitted.train_seconds,
        "teacher_seconds": teacher_seconds,
        "step_seconds": fitted.step_seconds,
        "steps": fitted.steps,
        "peak_memory_bytes": fitted.peak_memory_bytes,
        "mu": finished.chosen,
        "seen_shifts": sorted(seen),
        **({} if cost is None else cost.numbers()),
    }
    write_json(folder / "summary.json", summary)
    return summary
