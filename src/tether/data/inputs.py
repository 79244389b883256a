"""New samples to predict: files, folders, tables, standard input."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from tether.batch import Batch
from tether.data.reading import Pictures, Read, Texts, UnreadableError
from tether.errors import RequestError, nearest

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TABLES = (".csv", ".jsonl")


@dataclass(frozen=True)
class Inputs:
    """Unlabelled samples with a name each."""

    names: tuple[str, ...]
    values: tuple[str, ...]
    read: Read

    def __len__(self) -> int:
        return len(self.values)

    def batch(self, rows: Sequence[int]) -> Batch:
        """These samples; labels are -100.

        Raises:
            RequestError: names the picture that cannot be read.
        """
        try:
            x = self.read([self.values[i] for i in rows])
        except UnreadableError as e:
            raise RequestError(f"input: {e}; remove that file and run again") from e
        return Batch(x=x, y=torch.full((len(rows),), -100), ids=torch.tensor(list(rows)))


def content_ids(batch: Batch) -> torch.Tensor:
    """Numbers (B,) int64 that hang on what a sample is: its text, or its pixels in steps of 1/255.

    Example:
        >>> b = Batch(("a", "b", "a"), torch.zeros(3), torch.arange(3))
        >>> ids = content_ids(b)
        >>> bool(ids[0] == ids[2]), bool(ids[0] == ids[1])
        (True, False)
    """
    if isinstance(batch.x, tuple):
        values = [text.encode() for text in batch.x]
    else:
        values = [p.numpy().tobytes() for p in (batch.x.cpu() * 255).round().to(torch.uint8)]
    digests = [hashlib.blake2b(v, digest_size=8).digest() for v in values]
    return torch.tensor([int.from_bytes(d, "little", signed=True) for d in digests])


def read_inputs(inputs: Sequence[str], column: str | None, size: int) -> Inputs:
    """Collect samples.

    Args:
        inputs: picture files, folders of pictures, .csv or .jsonl tables, .txt files with a text a line, or
            "-" for texts on standard input.
        column: of a table; needed when it has more than one.
        size: side that pictures are resized to.

    Raises:
        RequestError: a missing file, an empty input, or pictures and texts together.
    """
    pictures: list[str] = []
    texts: list[tuple[str, str]] = []
    for given in inputs:
        if given == "-":
            texts += [(f"stdin:{i + 1}", line) for i, line in enumerate(_lines(sys.stdin))]
            continue
        path = Path(given)
        if path.is_dir():
            pictures += [str(p) for p in sorted(path.rglob("*")) if p.suffix.lower() in PICTURES]
        elif not path.is_file():
            near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise RequestError(
                f"input: there is no file {given}" + (f"; {nearest(path.name, near)}" if near else "")
            )
        elif path.suffix.lower() in PICTURES:
            pictures.append(given)
        elif path.suffix.lower() in TABLES:
            found = _table(path, column)
            kind = pictures if found and all(_is_picture(v) for v in found) else None
            if kind is None:
                texts += [(f"{path.name}:{i + 1}", v) for i, v in enumerate(found)]
            else:
                kind += [str(path.parent / v) for v in found]
        else:
            with path.open(encoding="utf-8") as f:
                texts += [(f"{path.name}:{i + 1}", line) for i, line in enumerate(_lines(f))]
    if pictures and texts:
        raise RequestError("input: expected pictures or texts, got both; predict them in two calls")
    if not pictures and not texts:
        raise RequestError(
            f"input: found no sample in {', '.join(inputs)}; expected pictures, a table or lines of text"
        )
    if pictures:
        return Inputs(tuple(pictures), tuple(pictures), Pictures("image", Path(), size))
    return Inputs(tuple(n for n, _ in texts), tuple(t for _, t in texts), Texts("text"))


def _is_picture(value: str) -> bool:
    return Path(value).suffix.lower() in PICTURES


def _lines(stream: IO[str]) -> list[str]:
    return [line.strip() for line in stream if line.strip()]


def _table(path: Path, column: str | None) -> list[str]:
    with path.open(encoding="utf-8", newline="") as f:
        if path.suffix.lower() == ".csv":
            rows: list[dict[str, Any]] = list(csv.DictReader(f))
        else:
            try:
                rows = [json.loads(line) for line in f if line.strip()]
            except ValueError as e:
                raise RequestError(f"input: {path} has a line that is not JSON: {e}") from e
    if not rows:
        raise RequestError(f"input: {path} has no rows")
    known = [str(k) for k in rows[0]]
    wanted = column or next((k for k in ("text", "image", "path") if k in known), None)
    wanted = wanted or (known[0] if len(known) == 1 else None)
    if wanted is None or wanted not in known:
        asked = (
            f"there is no column {column!r}; {nearest(column, known)}" if column else f"name one of {known}"
        )
        raise RequestError(f"input: {path}: {asked} with --column")
    return [str(row[wanted]) for row in rows]
