"""Run a model over its test sets and write what every later statistic is computed from."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tether.errors import RequestError
from tether.evaluation import metrics
from tether.evaluation.predict import Probabilities, predict_set
from tether.evaluation.shown import samples
from tether.evaluation.statistics import wilson
from tether.evaluation.suite import EvalSet
from tether.files import atomic, write_json, write_text
from tether.methods import Predict
from tether.models.model import Model
from tether.progress import bar
from tether.training import Engine

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("evalset", pa.string()),
        ("kind", pa.string()),
        ("severity", pa.int8()),
        ("label", pa.int64()),
        ("probabilities", pa.list_(pa.float32())),
    ]
)


def measure(
    model: Model,
    rule: Predict,
    sets: Sequence[EvalSet],
    engine: Engine,
    batch_size: int,
    folder: Path,
    about: dict[str, Any],
    label: str,
    seen: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Predict every set; write `predictions.parquet`, `samples.json`, then `results.jsonl`.

    Args:
        about: {"run", "method", "seed"}, put in every row.
        seen: names of sets whose shift training saw; their rows say so.

    Returns:
        The rows of `results.jsonl`.
    """
    rows: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    total = sum(len(s.examples) for s in sets)
    with (
        bar(label, total) as progress,
        atomic(folder / "predictions.parquet") as part,
        pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer,
    ):
        for evalset in sets:
            probabilities = predict_set(model, rule, evalset, engine, batch_size, progress)
            if not np.isfinite(probabilities).all():
                raise RequestError(
                    f"the model gives probabilities that are not finite on {evalset.name}; "
                    "its weights are damaged or its training diverged"
                )
            writer.write_table(_table(evalset, probabilities))
            shown += samples(evalset, model, probabilities)
            marked = {**about, "seen": evalset.name in seen}
            rows += [{**marked, **row} for row in result_rows(evalset, probabilities)]
    write_json(folder / "samples.json", shown)
    write_text(folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return rows


def _table(evalset: EvalSet, probabilities: Probabilities) -> pa.Table:
    n, classes = probabilities.shape
    return pa.Table.from_arrays(
        [
            pa.array(evalset.examples.ids, pa.int64()),
            pa.array([evalset.name] * n, pa.string()),
            pa.array([evalset.kind] * n, pa.string()),
            pa.array([evalset.severity] * n, pa.int8()),
            pa.array(evalset.examples.labels, pa.int64()),
            pa.ListArray.from_arrays(
                pa.array(np.arange(0, n * classes + 1, classes), pa.int32()),
                pa.array(probabilities.reshape(-1)),
            ),
        ],
        schema=SCHEMA,
    )


def result_rows(evalset: EvalSet, probabilities: Probabilities) -> list[dict[str, Any]]:
    """One row a metric of one set; accuracy carries its Wilson interval."""
    labels = evalset.examples.labels
    hits = metrics.correct(probabilities, labels)
    interval = wilson(int(hits.sum()), len(hits))
    values = {
        "accuracy": (interval.value, interval.low, interval.high),
        "balanced_accuracy": (metrics.balanced_accuracy(probabilities, labels), None, None),
        "macro_f1": (metrics.macro_f1(probabilities, labels), None, None),
        "nll": (metrics.nll(probabilities, labels), None, None),
        "ece": (metrics.ece(probabilities, labels), None, None),
    }
    return [
        {
            "evalset": evalset.name,
            "kind": evalset.kind,
            "severity": evalset.severity,
            "metric": metric,
            "value": value,
            "low": low,
            "high": high,
            "n": len(labels),
        }
        for metric, (value, low, high) in values.items()
    ]
