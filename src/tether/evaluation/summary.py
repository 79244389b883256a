"""`summary.json`: the few numbers a run is known by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tether.evaluation.efficiency import Efficiency
from tether.evaluation.headline import SetKey, headline_kind, kind_weights
from tether.evaluation.metrics import Floats, correct, robustness_gap
from tether.files import write_json
from tether.finish import Finished, Scores
from tether.training import Fitted


def headline_numbers(rows: list[dict[str, Any]], predictions: Path) -> dict[str, float | None]:
    """Accuracies and the gap from rows of `results.jsonl`; shifts seen in training are left out.

    A gap over synthetic sets is taken against `synthetic_id_accuracy`: with `evaluate.limit` they hold a part
    of the ID test examples, and only the same part may stand against them.

    Args:
        rows: of the run.
        predictions: `predictions.parquet`, read only where a synthetic set is smaller than the ID set.
    """
    kept = [r for r in rows if r["metric"] == "accuracy"]
    sets = [SetKey(r["evalset"], r["kind"], r["severity"]) for r in kept]
    values = np.array([r["value"] for r in kept])

    seen = {r["evalset"] for r in kept if r.get("seen")}

    def mean(kind: str) -> float | None:
        weights = kind_weights(sets, kind, seen)
        return None if np.isnan(weights).any() else float(weights @ values)

    id_accuracy = mean("id")
    assert id_accuracy is not None
    kind = headline_kind(sets)
    ood = mean(kind)
    clean = None if mean("synthetic") is None else id_accuracy
    sizes = {r["kind"]: r["n"] for r in sorted(kept, key=lambda r: -r["n"])}  # of each kind the smallest
    if clean is not None and sizes["synthetic"] < sizes["id"]:
        same = _on_the_same(predictions, sets, kind_weights(sets, "synthetic", seen))
        clean = id_accuracy if same is None else same
    against = clean if kind == "synthetic" else id_accuracy
    return {
        "id_accuracy": id_accuracy,
        "ood_accuracy": ood,
        "robustness_gap": None if ood is None or against is None else robustness_gap(against, ood),
        "synthetic_accuracy": mean("synthetic"),
        "synthetic_id_accuracy": clean,
        "adversarial_accuracy": mean("adversarial"),
    }


def _on_the_same(path: Path, sets: Sequence[SetKey], weights: Floats) -> float | None:
    """ID accuracy on the examples of these sets, weighted as they are; None where they are not ID's."""
    wanted, is_home = ["id", "label", "probabilities"], [("evalset", "==", "id_test")]
    at_home = pq.read_table(path, columns=wanted, filters=is_home)
    if at_home.num_rows == 0:
        return None
    values = at_home["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    hits = correct(values.reshape(at_home.num_rows, -1), at_home["label"].to_numpy())
    right = dict(zip(at_home["id"].to_pylist(), hits.tolist(), strict=True))
    columns = ["id", "evalset", "kind", "severity"]
    shifted = pq.read_table(path, columns=columns, filters=[("kind", "==", "synthetic")]).to_pydict()
    found: dict[SetKey, list[float | None]] = {}
    for example, evalset, kind, severity in zip(*(shifted[c] for c in columns), strict=True):
        found.setdefault(SetKey(evalset, kind, severity), []).append(right.get(example))
    total = 0.0
    for key, weight in zip(sets, weights.tolist(), strict=True):
        if not weight:
            continue
        every = found.get(key, [])
        here = [v for v in every if v is not None]
        if not here or len(here) < len(every):
            return None
        total += weight * sum(here) / len(here)
    return total


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
        **headline_numbers(rows, folder / "predictions.parquet"),
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
