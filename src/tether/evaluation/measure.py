"""Run a model over its test sets and write what every later statistic is computed from."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tether.data import Examples
from tether.errors import RequestError
from tether.evaluation.groups import NO_NAMES, Grouping, Names
from tether.evaluation.headline import is_seen
from tether.evaluation.kept import Kept, Part, identity
from tether.evaluation.predict import Probabilities, predict_set
from tether.evaluation.recompute import write_names
from tether.evaluation.rows import breakdown_rows, result_rows
from tether.evaluation.shown import samples
from tether.evaluation.suite import EvalSet
from tether.files import atomic
from tether.methods import Predict
from tether.models.model import Model
from tether.progress import Bar, bar
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
    fingerprint: str = "",
    names: Names = NO_NAMES,
) -> float:
    """Predict every set; write `predictions.parquet` and what is computed from it, `results.jsonl` last.

    A set is written down as soon as it is predicted (`Kept`), so that the same call goes on after a kill and
    memory holds one set at a time.

    Args:
        about: {"run", "method", "seed"}, put in every row.
        seen: names of sets whose shift training saw; their rows say so.
        fingerprint: of the config; finished sets of another one are not used.
        names: what labels and group codes mean, and the temperature; written to `evaluation.json`.

    Returns:
        Seconds of wall clock over all sets, those of an interrupted call included.

    Raises:
        RequestError: probabilities that are not finite; the set is named, and the sets before it are kept.
    """
    kept = Kept(folder, identity(model, rule, fingerprint))
    with bar(label, sum(len(s.examples) for s in sets)) as progress:
        for evalset in sets:
            if kept.has(evalset):
                progress.advance(len(evalset.examples))
                continue
            kept.write(evalset, _part(model, rule, evalset, engine, batch_size, progress))
    write_names(folder, names)
    seconds = _gather(folder, sets, kept, about, seen, names)
    kept.clear()
    return seconds


def _part(
    model: Model, rule: Predict, evalset: EvalSet, engine: Engine, batch_size: int, progress: Bar
) -> Part:
    """Predict one set."""
    began = time.monotonic()
    probabilities = predict_set(model, rule, evalset, engine, batch_size, progress)
    bad = len(probabilities) - int(np.isfinite(probabilities).all(axis=1).sum())
    if bad:
        raise RequestError(
            f"the model gives probabilities that are not finite on {evalset.key}, for {bad} of "
            f"{len(probabilities)} samples; its weights are damaged or its training diverged. "
            "Finished sets are kept"
        )
    shown = samples(evalset, model, probabilities)
    return Part(_table(evalset, probabilities), shown, time.monotonic() - began)


def _gather(
    folder: Path,
    sets: Sequence[EvalSet],
    kept: Kept,
    about: dict[str, Any],
    seen: Collection[str],
    names: Names,
) -> float:
    """The run's own files from the finished sets, one set in memory at a time; returns their seconds."""
    seconds = 0.0
    with (
        bar("metrics", len(sets)) as progress,
        atomic(folder / "predictions.parquet") as predictions,
        atomic(folder / "samples.json") as shown,
        atomic(folder / "results.jsonl") as results,
        atomic(folder / "breakdown.jsonl") as breakdown,
        pq.ParquetWriter(predictions, SCHEMA, compression="zstd") as writer,
        shown.open("w", encoding="utf-8") as gallery,
        results.open("w", encoding="utf-8") as lines,
        breakdown.open("w", encoding="utf-8") as parts,
    ):
        comma = "[\n"
        for evalset in sets:
            part = kept.read(evalset)
            seconds += part.seconds
            writer.write_table(part.table)
            marked = {**about, "seen": is_seen(evalset.key, seen)}
            told = (
                evalset.key,
                part.probabilities,
                evalset.examples.labels,
                _grouping(evalset.examples),
                names,
            )
            lines.writelines(json.dumps({**marked, **row}) + "\n" for row in result_rows(*told))
            # 1000 classes under 95 corrupted sets would be most of the folder; they can be recomputed.
            by_part = breakdown_rows(*told, classes=evalset.severity == 0)
            parts.writelines(json.dumps({**marked, **row}) + "\n" for row in by_part)
            for sample in part.samples:
                gallery.write(comma + json.dumps(sample))
                comma = ",\n"
            progress.advance()
        gallery.write("[]\n" if comma == "[\n" else "\n]\n")
    return seconds


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
