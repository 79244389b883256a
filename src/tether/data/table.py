"""The table source: CSV, JSONL or Parquet, streamed into Arrow and mapped from there, never held whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tether.data.config import DataConfig
from tether.data.json_lines import json_batches
from tether.data.mapped import mapped, settled, stamp_of
from tether.data.refuse import refuse_code
from tether.data.rows import Rows, columns_of
from tether.errors import RequestError, nearest
from tether.progress import bar

JSON_LINES = (".jsonl", ".ndjson", ".json")
KNOWN = (".csv", ".tsv", *JSON_LINES, ".parquet")
BLOCK = 1 << 24  # bytes of CSV parsed at a time; no row may be longer
BATCH = 1 << 24  # bytes of Parquet at a time, as its rows are on average


def read_table(config: DataConfig) -> Rows:
    """Read the columns that the config names.

    Raises:
        RequestError: when the file is missing, empty, of another kind, broken, or lacks a column.

    Example:
        >>> config = DataConfig(source="table", path="x.csv", text="text", label="label")
        >>> len(read_table(config).dataset)  # doctest: +SKIP
        120
    """
    path = Path(config.path or "").expanduser()
    columns = columns_of(config)
    dataset, stamp = open_table(path, columns.wanted)
    return Rows(dataset, path.parent, str(path), columns, stamp=stamp)


def open_table(path: Path, wanted: Sequence[str]) -> tuple[Any, str | None]:
    """These columns of a table as a mapped data set, and its stamp, None while the file is too young for one.

    Raises:
        RequestError: as `read_table`.
    """
    import pyarrow as pa

    _check_file(path)
    stamp = stamp_of(path, list(wanted))
    try:
        dataset = mapped(path, stamp, lambda: _batches(path, wanted))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, csv.Error) as e:
        first = str(e).splitlines()[0][:300]
        raise RequestError(f"{path}: expected a whole {path.suffix[1:]} file in UTF-8, but: {first}") from e
    if dataset is None or not len(dataset):
        raise RequestError(f"{path}: expected rows, the table is empty; check that the right file is named")
    return dataset, stamp if settled(path.stat().st_mtime) else None


def _check_file(path: Path) -> None:
    refuse_code(path)
    if path.suffix.lower() not in KNOWN:
        raise RequestError(f"data.path: expected a table ({', '.join(KNOWN)}), got {str(path)!r}; convert it")
    if path.is_file():
        return
    folder = path.parent
    if not folder.is_dir():
        raise RequestError(f"data.path: there is no folder {str(folder)!r} to hold {path.name!r}")
    tables = [f.name for f in folder.iterdir() if f.suffix.lower() in KNOWN]
    hint = nearest(path.name, tables) if tables else "the folder holds no table"
    raise RequestError(f"data.path: there is no file {str(path)!r}; {hint}")


def _batches(path: Path, wanted: Sequence[str]) -> Iterator[Any]:
    size, suffix = path.stat().st_size, path.suffix.lower()
    if size == 0:
        return
    if suffix == ".parquet":
        yield from _parquet(path, wanted)
        return
    with bar(f"reading {path.name} (MB)", size / 1e6) as progress:
        if suffix in JSON_LINES:
            yield from json_batches(path, wanted, progress)
            return
        for batch in _csv(path, wanted):
            yield batch
            progress.advance(batch.nbytes / 1e6)


def _parquet(path: Path, wanted: Sequence[str]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file, bar(f"reading {path.name}", file.metadata.num_rows) as progress:
        check_columns(path, file.schema_arrow.names, wanted)
        about = file.metadata
        size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        rows = max(1, min(65_536, BATCH * about.num_rows // max(size, 1)))
        for batch in file.iter_batches(rows, columns=list(wanted)):
            yield _plain(batch)
            progress.advance(batch.num_rows)


def header_of(path: Path) -> list[str]:
    """Names of a table's columns; of JSON lines, the keys of the first one.

    Raises:
        RequestError: when the file is missing, of another kind, or does not begin like one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_file(path)
    try:
        if path.suffix.lower() == ".parquet":
            return [str(name) for name in pq.read_schema(path).names]
        if path.suffix.lower() not in JSON_LINES:
            return _csv_header(path)
        with path.open(encoding="utf-8-sig") as f:
            first = next((line for line in f if line.strip()), "{}")
        return [str(key) for key in dict(json.loads(first))]
    except (pa.ArrowInvalid, ValueError, TypeError, csv.Error) as e:
        raise RequestError(f"{path}: expected a whole {path.suffix[1:]} file in UTF-8, but: {e}") from e


def _csv_header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as f:
        return next(csv.reader(f, delimiter=_delimiter(path)), [])


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _csv(path: Path, wanted: Sequence[str]) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.csv

    check_columns(path, _csv_header(path), wanted)
    with pa.csv.open_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=BLOCK),
        parse_options=pa.csv.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        # Every column as text: guessing would turn the text "007" into a number and "NA" into nothing.
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=list(wanted),
            strings_can_be_null=False,
        ),
    ) as reader:
        yield from reader


def check_columns(path: Path, have: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        RequestError: with the nearest name there is.
    """
    for name in wanted:
        if name not in have:
            raise RequestError(f"{path}: there is no column {name!r}; {nearest(name, have)}")


def _plain(batch: Any) -> Any:
    """Categories written by pandas come as dictionary columns, which `datasets` does not take."""
    import pyarrow as pa

    if not any(pa.types.is_dictionary(field.type) for field in batch.schema):
        return batch
    arrays, fields = [], []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_dictionary(field.type):
            array = array.cast(field.type.value_type)
        arrays.append(array)
        fields.append(pa.field(field.name, array.type))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata=batch.schema.metadata))
