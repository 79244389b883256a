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

from tether.data.portray import portray
from tether.errors import RequestError
from tether.evaluation import metrics
from tether.evaluation.kept import Kept, Part, identity
from tether.evaluation.predict import Probabilities, predict_set
from tether.evaluation.statistics import wilson
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
    ]
)
SHOWN = 3  # samples a set in the report's gallery


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
) -> float:
    """Predict every set; write `predictions.parquet`, `samples.json`, then `results.jsonl`.

    A set is written down as soon as it is predicted (`Kept`), so that the same call goes on after a kill and
    memory holds one set at a time.

    Args:
        about: {"run", "method", "seed"}, put in every row.
        seen: names of sets whose shift training saw; their rows say so.
        fingerprint: of the config; finished sets of another one are not used.

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
    seconds = _gather(folder, sets, kept, about, seen)
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
    shown = samples(evalset, model)
    return Part(_table(evalset, probabilities), shown, time.monotonic() - began)


def _gather(
    folder: Path, sets: Sequence[EvalSet], kept: Kept, about: dict[str, Any], seen: Collection[str]
) -> float:
    """The run's own files from the finished sets, one set in memory at a time; returns their seconds."""
    seconds = 0.0
    with (
        bar("metrics", len(sets)) as progress,
        atomic(folder / "predictions.parquet") as predictions,
        atomic(folder / "samples.json") as shown,
        atomic(folder / "results.jsonl") as results,
        pq.ParquetWriter(predictions, SCHEMA, compression="zstd") as writer,
        shown.open("w", encoding="utf-8") as gallery,
        results.open("w", encoding="utf-8") as lines,
    ):
        comma = "[\n"
        for evalset in sets:
            part = kept.read(evalset)
            seconds += part.seconds
            writer.write_table(part.table)
            marked = {**about, "seen": evalset.name in seen}
            lines.writelines(
                json.dumps({**marked, **row}) + "\n" for row in result_rows(evalset, part.probabilities)
            )
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


def samples(evalset: EvalSet, model: Model) -> list[dict[str, Any]]:
    """The first few samples of a set, as a report shows them."""
    rows = range(min(SHOWN, len(evalset.examples)))
    batch = evalset.batch(rows, model)
    if batch.space != "raw":  # embeddings cannot be shown; the samples they were made from can
        batch = evalset.examples.batch(rows)
    batch = batch.to("cpu")
    return [
        {
            "evalset": evalset.name,
            "kind": evalset.kind,
            "severity": evalset.severity,
            "label": int(evalset.examples.labels[i]),
            **portray(batch, i),
        }
        for i in rows
    ]
