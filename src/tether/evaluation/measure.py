"""Run a model over its test sets and write what every later statistic is computed from."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tether.data import Examples
from tether.errors import RequestError
from tether.evaluation.groups import Grouping, Names
from tether.evaluation.headline import SetKey, is_seen
from tether.evaluation.predict import Probabilities, predict_set
from tether.evaluation.recompute import write_names
from tether.evaluation.rows import breakdown_rows, result_rows
from tether.evaluation.shown import samples
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
        ("group", pa.int32()),  # null where the data has no groups
        ("members", pa.list_(pa.int16())),  # which overlapping groups
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
    names: Names | None = None,
) -> list[dict[str, Any]]:
    """Predict every set; write `predictions.parquet` and what is computed from it, `results.jsonl` last.

    Args:
        about: {"run", "method", "seed"}, put in every row.
        seen: names of sets whose shift training saw; their rows say so.
        names: what labels and group codes mean, and the temperature; written to `evaluation.json`.

    Returns:
        The rows of `results.jsonl`.
    """
    rows: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    names = names or Names()
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
            key = SetKey(evalset.name, evalset.kind, evalset.severity)
            marked = {**about, "seen": is_seen(key, seen)}
            told = (key, probabilities, evalset.examples.labels, _grouping(evalset.examples), names)
            rows += [{**marked, **row} for row in result_rows(*told)]
            # 1000 classes under 95 corrupted sets would be most of the folder; they can be recomputed.
            parts += [{**marked, **row} for row in breakdown_rows(*told, classes=evalset.severity == 0)]
    write_json(folder / "samples.json", shown)
    write_names(folder, names)
    write_text(folder / "breakdown.jsonl", "".join(json.dumps(row) + "\n" for row in parts))
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
            _groups(evalset.examples),
            _members(evalset.examples),
        ],
        schema=SCHEMA,
    )


def _grouping(examples: Examples) -> Grouping:
    return Grouping(examples.groups, examples.members)


def _groups(examples: Examples) -> pa.Array:
    if examples.groups is None:
        return pa.nulls(len(examples), pa.int32())
    return pa.array(examples.groups, pa.int32())


def _members(examples: Examples) -> pa.Array:
    kind = pa.list_(pa.int16())
    if examples.members is None:
        return pa.nulls(len(examples), kind)
    return pa.array([np.flatnonzero(row) for row in examples.members], kind)
