"""The table source: CSV, JSONL or Parquet, held as a `datasets.Dataset` (Arrow underneath).

The table is read into memory: with pictures beyond that, let its column hold paths rather than bytes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tether.data.config import DataConfig
from tether.data.examples import column
from tether.errors import RequestError, nearest

if TYPE_CHECKING:
    import datasets

JSON_LINES = (".jsonl", ".ndjson", ".json")
KNOWN = (".csv", ".tsv", *JSON_LINES, ".parquet")


@dataclass(frozen=True)
class Rows:
    """What every source gives: rows in the source's own order, before anything is split or dropped.

    Attributes:
        dataset: the columns the config names.
        root: the folder that relative picture paths start from.
        where: how messages call the source.
    """

    dataset: datasets.Dataset
    root: Path
    where: str

    def words(self, name: str) -> list[str]:
        """A column of names (domain, split, group) as strings.

        Raises:
            RequestError: at the first null or blank value, with its row.
        """
        values = column(self.dataset, name)
        for row, value in enumerate(values):
            if value is None or not str(value).strip():
                raise RequestError(
                    f"{self.where}: expected a value in column {name!r}, row {row} has none (rows count from "
                    "0, without a header); fill it in or remove the row"
                )
        return [str(value).strip() for value in values]


def read_table(config: DataConfig) -> Rows:
    """Read the columns that the config names.

    Raises:
        RequestError: when the file is missing, empty, of another kind, broken, or lacks a column.

    Example:
        >>> config = DataConfig(source="table", path="x.csv", text="text", label="label")
        >>> len(read_table(config).dataset)  # doctest: +SKIP
        120
    """
    import datasets
    import pyarrow as pa

    path = Path(config.path or "").expanduser()
    _check_file(path)
    named = [config.text, config.image, config.label, config.domain, config.split, *config.group]
    wanted = list(dict.fromkeys(name for name in named if name is not None))
    try:
        table = _read(path, wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, csv.Error) as e:
        if path.suffix.lower() in JSON_LINES:
            _blame_line(path, wanted)
        first = str(e).splitlines()[0][:300]
        raise RequestError(f"{path}: expected a whole {path.suffix[1:]} file in UTF-8, but: {first}") from e
    if not table.num_rows:
        raise RequestError(f"{path}: expected rows, the table is empty; check that the right file is named")
    return Rows(datasets.Dataset(_plain(table)), path.parent, str(path))


def _check_file(path: Path) -> None:
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


def _read(path: Path, wanted: Sequence[str]) -> Any:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    suffix = path.suffix.lower()
    if path.stat().st_size == 0:
        return pa.table({})
    if suffix == ".parquet":
        _check_columns(path, pa.parquet.read_schema(path).names, wanted)
        return pa.parquet.read_table(path, columns=list(wanted))
    if suffix in JSON_LINES:
        # One block a file would need is not known beforehand; 16 MB lets a single line be long.
        table = pa.json.read_json(path, pa.json.ReadOptions(block_size=1 << 24))
        if table.num_rows:
            _check_columns(path, table.column_names, wanted)
        return table.select([name for name in wanted if name in table.column_names])
    delimiter = "\t" if suffix == ".tsv" else ","
    with path.open(newline="", encoding="utf-8-sig") as f:
        header = next(csv.reader(f, delimiter=delimiter), [])
    _check_columns(path, header, wanted)
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        # Every column as text: guessing would turn the text "007" into a number and "NA" into nothing.
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in wanted},
            include_columns=list(wanted),
            strings_can_be_null=False,
        ),
    )


def _check_columns(path: Path, have: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in have:
            raise RequestError(f"{path}: there is no column {name!r}; {nearest(name, have)}")


def _plain(table: Any) -> Any:
    """Categories written by pandas come as dictionary columns, which `datasets` does not take."""
    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(field.type.value_type))
    return table


def _blame_line(path: Path, wanted: Sequence[str]) -> None:
    """Arrow says that a JSON column changed its type, but not always where: find the row."""
    kinds: dict[str, type] = {}
    row = -1
    with path.open(encoding="utf-8-sig") as f:
        for line in f:
            if not line.strip():
                continue
            row += 1
            try:
                value = json.loads(line)
            except ValueError as e:
                raise RequestError(f"{path}: expected one JSON object a line, row {row} is none ({e})") from e
            if not isinstance(value, dict):
                raise RequestError(f"{path}: expected one JSON object a line, row {row} is a {_name(value)}")
            for name in wanted:
                if value.get(name) is None:
                    continue
                kind = kinds.setdefault(name, type(value[name]))
                if type(value[name]) is not kind:
                    raise RequestError(
                        f"{path}: column {name!r} holds a {_name(value[name])} in row {row}, a "
                        f"{kind.__name__} before; expected one kind, a string for texts. Mend the row."
                    )


def _name(value: object) -> str:
    return type(value).__name__
