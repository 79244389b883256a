"""Reads each file of a run folder: what is needed or an error, what is optional or a noted problem."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tether.errors import RequestError
from tether.evaluation.groups import NO_NAMES, Names
from tether.evaluation.headline import KINDS, SetKey
from tether.evaluation.recompute import grouping_of, read_names
from tether.files import read_json
from tether.report.records import Measurement, Predictions, Sample


def read_mapping(path: Path) -> Mapping[str, Any]:
    """A JSON object, or an error."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise RequestError(
            f"{path}: expected a JSON object, got {type(value).__name__}; run the command again"
        )
    return value


def who(
    path: Path, summary: Mapping[str, Any], config: Mapping[str, Any], problems: list[str]
) -> tuple[str, int]:
    """Method and seed of a run; where the summary lacks one, its config says it, and that is noted.

    Raises:
        RequestError: when neither file says it.
    """
    method = config.get("method")
    said = {"method": method.get("name") if isinstance(method, dict) else method, "seed": config.get("seed")}
    found: dict[str, Any] = {}
    for key, kind in (("method", str), ("seed", int)):
        value = summary.get(key)
        if not isinstance(value, kind):
            value = said[key]
            if not isinstance(value, kind):
                raise RequestError(f"{path}: expected the key {key!r}; run the command again")
            problems.append(f"{path}: the key {key!r} is missing; {value!r} is taken from config.yaml")
        found[key] = value
    return found["method"], found["seed"]


def read_lines(
    path: Path, problems: list[str], optional: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and value of every whole line of a JSONL file; the others become problems."""
    if not path.is_file():
        if not optional:
            problems.append(f"{path}: missing")
        return
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:  # also a character cut in two
            row = None
        if isinstance(row, dict):
            yield number, row
        else:
            problems.append(f"{path}: line {number} is cut off or not an object, left out")


def read_results(path: Path, problems: list[str]) -> tuple[Measurement, ...]:
    """The whole rows of `results.jsonl`."""
    if not path.is_file():
        raise RequestError(f"expected the file {path}, but there is none; finish the run first")
    rows = []
    for number, row in read_lines(path, problems):
        try:
            low, high = (float("nan") if row.get(k) is None else float(row[k]) for k in ("low", "high"))
            value = float("nan") if row["value"] is None else float(row["value"])
            where = (str(row["evalset"]), str(row["kind"]), int(row["severity"]), str(row["metric"]))
            rows.append(Measurement(*where, value, low, high, int(row["n"])))
        except (KeyError, TypeError, ValueError) as e:
            problems.append(f"{path}: line {number} lacks a usable {e}, left out")
    return tuple(rows)


def read_predictions(path: Path, problems: list[str], members: int = 0) -> tuple[Predictions, ...]:
    """The prediction file, one `Predictions` a set, sets sorted, examples in order of their ids.

    Args:
        members: how many overlapping groups the run has names for.
    """
    if not path.is_file():
        raise RequestError(f"expected the file {path}, but there is none; finish the run first")
    try:
        table = pq.read_table(path)
        flat = {k: table[k].to_numpy() for k in ("id", "evalset", "kind", "severity", "label")}
        lists = table["probabilities"].combine_chunks()
        values = lists.flatten().to_numpy(zero_copy_only=False)
        probabilities = values.reshape(table.num_rows, -1)
        grouping = grouping_of(table, members)
    except (pa.ArrowException, KeyError, ValueError, OSError) as e:
        raise RequestError(f"{path} is cut off or not a prediction file ({e}); evaluate the run again") from e
    if table.num_rows == 0:
        raise RequestError(f"{path}: expected predictions, got an empty table; evaluate the run again")
    if (dropped := int((flat["label"] < 0).sum())) > 0:
        problems.append(f"{path}: {dropped} examples without a label, left out")
    broken = ~np.isfinite(probabilities).all(axis=1)
    if broken.any():
        hit = sorted(set(flat["evalset"][broken].tolist()))
        problems.append(
            f"{path}: {int(broken.sum())} predictions hold NaN or infinity ({', '.join(hit[:4])}), left out"
        )
    names = zip(flat["evalset"], flat["kind"], flat["severity"], strict=True)
    rows: dict[SetKey, list[int]] = {}
    for i, (evalset, kind, severity) in enumerate(names):
        if flat["label"][i] >= 0 and not broken[i]:
            rows.setdefault(SetKey(str(evalset), str(kind), int(severity)), []).append(i)
    if unknown := sorted({k.kind for k in rows} - set(KINDS)):
        raise RequestError(f"{path}: expected kinds {', '.join(KINDS)}, got {', '.join(unknown)}")
    if not rows:
        raise RequestError(
            f"{path}: expected labelled examples with finite predictions, got none; evaluate on labelled data"
        )
    sets = []
    for key in sorted(rows):
        index = np.asarray(rows[key])
        index = index[np.argsort(flat["id"][index], kind="stable")]
        part = (flat["id"][index], flat["label"][index], probabilities[index], grouping.rows(index))
        sets.append(Predictions(key, *part))
    return tuple(sets)


def read_optional_text(path: Path, problems: list[str]) -> str:
    """A text, empty with a problem noted when it is missing."""
    if path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")
    problems.append(f"{path}: missing")
    return ""


def parse_config(path: Path, text: str, problems: list[str]) -> Mapping[str, Any]:
    """The configuration as a mapping, empty with a problem noted when it is none."""
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        value = None
    if isinstance(value, dict):
        return value
    problems.append(f"{path}: not a YAML mapping, shown as it is")
    return {}


def read_classes(path: Path, count: int, problems: list[str]) -> tuple[str, ...]:
    """Class names; numbers with a problem noted when they are missing or too few."""
    numbered = tuple(str(i) for i in range(count))
    try:
        value = read_json(path)
    except RequestError as e:
        problems.append(f"{e}; classes are numbered")
        return numbered
    if not isinstance(value, list) or len(value) != count:
        problems.append(f"{path}: expected {count} names, one for each probability; classes are numbered")
        return numbered
    return tuple(str(v) for v in value)


def read_samples(path: Path, classes: Sequence[str], problems: list[str]) -> tuple[Sample, ...]:
    """The examples to show; none when the run kept none. Older runs name a label by its class."""
    if not path.is_file():
        return ()
    try:
        rows = read_json(path)
    except RequestError as e:
        problems.append(f"{path}: the example list is not whole ({e})")
        return ()
    out = []
    for row in rows if isinstance(rows, list) else [rows]:
        try:
            key = SetKey(str(row["evalset"]), str(row["kind"]), int(row["severity"]))
            named = row["label"] in classes
            label = classes.index(row["label"]) if named else int(row["label"])
            known = row.get("id")  # older runs kept none
            known = int(known) if known is not None else None
            out.append(Sample(key, label, row.get("text"), row.get("image"), known))
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            problems.append(f"{path}: an example is not whole ({e}), left out")
    return tuple(out)


def read_about(folder: Path, problems: list[str]) -> tuple[Names, int | None]:
    """Names of groups (`evaluation.json`) and the size of pictures (`data.json`); either may be missing."""
    names, size = NO_NAMES, None
    try:
        names = read_names(folder, ())
    except RequestError as e:
        problems.append(f"{e}; groups are numbered")
    if (folder / "data.json").is_file():
        try:
            found = read_mapping(folder / "data.json").get("picture_size")
            size = found if isinstance(found, int) else None
        except RequestError as e:
            problems.append(f"{e}; the size of pictures is not known")
    return names, size
