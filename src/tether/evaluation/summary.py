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
    """Accuracies and the gap from rows of `results.jsonl`; shifts seen in training are left out."""
    kept = [r for r in rows if r["metric"] == "accuracy"]
    sets = [SetKey(r["evalset"], r["kind"], r["severity"]) for r in kept]
    values = np.array([r["value"] for r in kept])

    seen = {r["evalset"] for r in kept if r.get("seen")}

    def mean(kind: str) -> float | None:
        weights = kind_weights(sets, kind, seen)
        return None if np.isnan(weights).any() else float(weights @ values)

    id_accuracy = mean("id")
    assert id_accuracy is not None
    ood = mean(headline_kind(sets))
    return {
        "id_accuracy": id_accuracy,
        "ood_accuracy": ood,
        "robustness_gap": None if ood is None else robustness_gap(id_accuracy, ood),
        "synthetic_accuracy": mean("synthetic"),
        "adversarial_accuracy": mean("adversarial"),
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
        "planned_steps": fitted.planned,
        "ended_by": _ended_by(fitted),
        "peak_memory_bytes": fitted.peak_memory_bytes,
        "mu": finished.chosen,
        "seen_shifts": sorted(seen),
        **({} if cost is None else cost.numbers()),
    }
    write_json(folder / "summary.json", summary)
    return summary


def _ended_by(fitted: Fitted) -> str | None:
    """The key of `train:` that ended training before its last step; None where none did."""
    if fitted.out_of_time:
        return "max_seconds"
    return "patience" if fitted.steps < fitted.planned else None
