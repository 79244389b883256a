"""JSON lines, one object a line, streamed into Arrow; a line that does not fit is named by its row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tether.errors import RequestError, nearest
from tether.progress import Bar

BATCH = 1 << 23  # characters read before a batch is written
KINDS = {str: "string", bool: "bool_", int: "int64", float: "float64"}


def json_batches(path: Path, wanted: Sequence[str], progress: Bar) -> Iterator[Any]:
    """The wanted columns as Arrow record batches of one schema.

    Arrow's own JSON reader is not used: it turns a text that looks like a date into one, and does not always
    say which row broke it.

    Raises:
        RequestError: at a line that is no object, a value of another kind than the column's first one, or
            when a column never occurs.
    """
    import pyarrow as pa

    kinds: dict[str, type] = {}
    seen: set[str] = set()
    held: list[tuple[int, dict[str, Any]]] = []
    schema, size = None, 0
    for row, value, length in _objects(path, progress):
        seen.update(value)
        _check_kinds(path, wanted, kinds, row, value)
        held.append((row, {name: value.get(name) for name in wanted}))
        size += length
        # The schema needs every column's kind, so a column that begins with nulls is waited for.
        if size >= BATCH and (schema is not None or len(kinds) == len(wanted)):
            schema = schema or _schema(wanted, kinds, held)
            yield _batch(path, schema, held)
            held, size = [], 0
    if held and schema is None:
        for name in wanted:
            if name not in seen:
                raise RequestError(f"{path}: there is no column {name!r}; {nearest(name, seen)}")
        schema = _schema(wanted, kinds, held)
    if held:
        assert isinstance(schema, pa.Schema)
        yield _batch(path, schema, held)


def _objects(path: Path, progress: Bar) -> Iterator[tuple[int, dict[str, Any], int]]:
    row = -1
    with path.open(encoding="utf-8-sig") as f:
        for line in f:
            progress.advance(len(line) / 1e6)
            if not line.strip():
                continue
            row += 1
            try:
                value = json.loads(line)
            except ValueError as e:
                raise RequestError(f"{path}: expected one JSON object a line, row {row} is none ({e})") from e
            if not isinstance(value, dict):
                raise RequestError(f"{path}: expected one JSON object a line, row {row} is a {_name(value)}")
            yield row, value, len(line)


def _check_kinds(
    path: Path, wanted: Sequence[str], kinds: dict[str, type], row: int, value: dict[str, Any]
) -> None:
    for name in wanted:
        if value.get(name) is None:
            continue
        kind = kinds.setdefault(name, type(value[name]))
        if type(value[name]) is not kind:
            raise RequestError(
                f"{path}: column {name!r} holds a {_name(value[name])} in row {row}, a "
                f"{kind.__name__} before; expected one kind, a string for texts. Mend the row."
            )


def _schema(wanted: Sequence[str], kinds: dict[str, type], held: list[tuple[int, dict[str, Any]]]) -> Any:
    import pyarrow as pa

    def field(name: str) -> Any:
        kind = kinds.get(name, str)
        if kind in KINDS:
            return pa.field(name, getattr(pa, KINDS[kind])())
        return pa.field(name, pa.array([value.get(name) for _, value in held]).type)

    return pa.schema([field(name) for name in wanted])


def _batch(path: Path, schema: Any, held: list[tuple[int, dict[str, Any]]]) -> Any:
    import pyarrow as pa

    try:
        columns = [
            pa.array([value.get(field.name) for _, value in held], type=field.type) for field in schema
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError) as e:
        raise RequestError(
            f"{path}: the rows {held[0][0]} to {held[-1][0]} do not fit the columns before them ({e}); mend "
            "them"
        ) from e
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _name(value: object) -> str:
    return type(value).__name__
