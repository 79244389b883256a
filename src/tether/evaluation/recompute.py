"""Every row of a run's `results.jsonl`, again, from its predictions: what is written can be checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tether.errors import RequestError
from tether.evaluation.groups import Grouping, Names
from tether.evaluation.headline import SetKey
from tether.evaluation.metrics import Array
from tether.evaluation.rows import breakdown_rows, result_rows
from tether.files import read_json, write_json

NAMES = "evaluation.json"


@dataclass(frozen=True)
class StoredSet:
    """One set as it lies in a prediction file, in the order of its rows."""

    key: SetKey
    ids: Array
    labels: Array
    probabilities: Array
    grouping: Grouping


def write_names(folder: Path, names: Names) -> None:
    """`evaluation.json`: what group codes and members mean, and the temperature."""
    about = {"groups": names.groups, "members": names.members, "temperature": names.temperature}
    write_json(folder / NAMES, about)


def read_names(folder: Path, classes: tuple[str, ...] | None = None) -> Names:
    """The names of a run folder; an older one without `evaluation.json` has no names of groups.

    Args:
        folder: of the run.
        classes: their names; None reads `classes.json`.

    Raises:
        RequestError: when a file is there and cut off.
    """
    if classes is None:
        classes = tuple(map(str, read_json(folder / "classes.json"))) if _has(folder, "classes.json") else ()
    if not _has(folder, NAMES):
        return Names(classes)
    about = read_json(folder / NAMES)
    if not isinstance(about, dict):
        raise RequestError(f"{folder / NAMES}: expected a JSON object; evaluate the run again")
    groups, members = (tuple(map(str, about.get(k) or ())) for k in ("groups", "members"))
    return Names(classes, groups, members, about.get("temperature"))


def grouping_of(table: pa.Table, members: int) -> Grouping:
    """Groups of the rows of a prediction table; none where the table has no such columns."""
    codes = inside = None
    if "group" in table.column_names and table["group"].null_count < table.num_rows:
        codes = table["group"].fill_null(-1).to_numpy().astype(np.int64)
    if "members" in table.column_names and table["members"].null_count < table.num_rows:
        lists = table["members"].to_pylist()
        wide = max(members, 1 + max((max(row) for row in lists if row), default=-1))
        inside = np.zeros((len(lists), wide), dtype=np.bool_)
        for i, row in enumerate(lists):
            inside[i, row or []] = True
    return Grouping(codes, inside)


def stored_sets(path: Path, members: int = 0) -> Iterator[StoredSet]:
    """The sets of a prediction file, one at a time, in file order.

    Raises:
        RequestError: when the file is missing or cut off.
    """
    try:
        table = pq.read_table(path)
        names = [table[k].to_pylist() for k in ("evalset", "kind", "severity")]
    except (pa.ArrowException, KeyError, OSError) as e:
        raise RequestError(f"{path} is missing, cut off or not a prediction file ({e})") from e
    where: dict[SetKey, list[int]] = {}
    for i, (evalset, kind, severity) in enumerate(zip(*names, strict=True)):
        where.setdefault(SetKey(evalset, kind, severity), []).append(i)
    for key, index in where.items():
        part = table.take(index)
        values = part["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        yield StoredSet(
            key,
            part["id"].to_numpy(),
            part["label"].to_numpy(),
            values.reshape(len(index), -1),
            grouping_of(part, members),
        )


def recompute(folder: Path) -> list[dict[str, Any]]:
    """The rows of `results.jsonl` from `predictions.parquet`, without run, method, seed and seen.

    Example:
        >>> recompute(Path("runs/a"))[0]["metric"]  # doctest: +SKIP
        'accuracy'
    """
    names = read_names(folder)
    found = stored_sets(folder / "predictions.parquet", len(names.members))
    return [r for s in found for r in result_rows(s.key, s.probabilities, s.labels, s.grouping, names)]


def recompute_breakdown(folder: Path) -> list[dict[str, Any]]:
    """By class and by group, for every set; `breakdown.jsonl` keeps classes of the unshifted sets only."""
    names = read_names(folder)
    found = stored_sets(folder / "predictions.parquet", len(names.members))
    return [r for s in found for r in breakdown_rows(s.key, s.probabilities, s.labels, s.grouping, names)]


def disagreements(folder: Path) -> list[str]:
    """What `results.jsonl` says otherwise than the predictions do, a sentence each; [] when all agrees.

    Equality is exact. A metric that an older version did not write is no disagreement.

    Raises:
        RequestError: when a file is missing or cut off.

    Example:
        >>> disagreements(Path("runs/a"))  # doctest: +SKIP
        []
    """
    path = folder / "results.jsonl"
    try:
        written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as e:
        raise RequestError(f"{path} is missing or cut off ({e}); evaluate the run again") from e
    again = {_name(row): row for row in recompute(folder)}
    said = []
    for row in written:
        mine = again.get(_name(row))
        if mine is None:
            said.append(f"{_title(row)}: not in the predictions")
            continue
        said += [
            f"{_title(row)}: {k} is written as {row.get(k)}, the predictions give {mine[k]}"
            for k in ("value", "low", "high", "n")
            if row.get(k) != mine[k] and not (_nan(row.get(k)) and _nan(mine[k]))
        ]
    return said


def _nan(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)


def _name(row: dict[str, Any]) -> tuple[Any, ...]:
    return row.get("evalset"), row.get("kind"), row.get("severity"), row.get("metric")


def _title(row: dict[str, Any]) -> str:
    return f"{row.get('evalset')} {row.get('severity')}, {row.get('metric')}"


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_file()
