"""Rows without a label, one road a source; what the labelled sources read, they read here too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tether.data.config import DataConfig
from tether.data.hub import open_hub
from tether.data.mapped import mapped, settled, stamp_of
from tether.data.objects import stored
from tether.data.pool_source import PoolSource
from tether.data.presets import as_table
from tether.data.rows import Columns, Rows
from tether.data.saved import open_saved
from tether.data.table import header_of, open_table
from tether.data.walk import pictures, the_folder
from tether.errors import RequestError, nearest
from tether.progress import bar

LINES = 65_536  # of a text file in one Arrow batch


def _preset(source: PoolSource) -> Rows:
    config = as_table(DataConfig(preset=source.preset))
    return _from_table(Path(config.path or ""), config.text, config.image, config.domain)


def _table(source: PoolSource) -> Rows:
    path = Path(source.path or "").expanduser()
    text, image = source.text, source.image
    if text is None and image is None:
        names = header_of(path)
        text, image = ("text" if "text" in names else None), ("image" if "image" in names else None)
        if (text is None) == (image is None):
            raise RequestError(
                f"pool: {path} has the columns {', '.join(names)}; name the one with samples as `text` or "
                "`image`"
            )
    return _from_table(path, text, image, source.domain)


def _from_table(path: Path, text: str | None, image: str | None, domain: str | None) -> Rows:
    columns = Columns(label="", text=text, image=image, domain=domain)
    wanted = [name for name in (text, image, domain) if name is not None]
    dataset, stamp = open_table(path, wanted)
    return Rows(dataset, path.parent, str(path), columns, stamp=stamp)


def _folder(source: PoolSource) -> Rows:
    import datasets
    import pyarrow as pa

    root = the_folder(source.path or "", "pool.path")
    found = pictures(root, root)
    if not found:
        raise RequestError(f"pool.path: found no picture below {root}; name a folder with pictures")
    table = pa.table({"image": pa.array(found, pa.string())})
    return Rows(datasets.Dataset(table), root, str(root), Columns(label="", image="image"))


def _lines(source: PoolSource) -> Rows:
    import pyarrow as pa

    path = Path(source.path or "").expanduser()
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, near) if near else "nor is there its folder"
        raise RequestError(f"pool.path: there is no file {str(path)!r}; {hint}")

    def batches() -> Iterator[Any]:
        with path.open(encoding="utf-8") as f, bar(f"reading {path.name}", path.stat().st_size) as progress:
            held: list[str] = []
            for line in f:
                progress.advance(len(line))
                if line.strip():
                    held.append(line.strip())
                if len(held) == LINES:
                    yield pa.record_batch({"text": pa.array(held, pa.string())})
                    held = []
            if held:
                yield pa.record_batch({"text": pa.array(held, pa.string())})

    stamp = stamp_of(path, "lines")
    try:
        dataset = mapped(path, stamp, batches)
    except UnicodeDecodeError as e:
        raise RequestError(f"{path}: expected text in UTF-8, but: {e}; convert it") from e
    if dataset is None:
        raise RequestError(f"{path}: expected a text a line, the file has none; name another one")
    kept = stamp if settled(path.stat().st_mtime) else None
    return Rows(dataset, path.parent, str(path), Columns(label="", text="text"), stamp=kept)


def _hub(source: PoolSource) -> Rows:
    loaded = open_hub(source.name or "", source.subset, source.revision)
    return _joined(loaded, source, f"the data set {source.name!r}", None)


def _saved(source: PoolSource) -> Rows:
    root = the_folder(source.path or "", "pool.path")
    loaded, stamp = open_saved(root)
    return _joined(loaded, source, str(root), stamp)


def _joined(loaded: Any, source: PoolSource, where: str, stamp: str | None) -> Rows:
    """All asked-for splits of a data set, one after the other."""
    import datasets

    own: dict[str, Any] = dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}
    for name in source.splits or ():
        if name not in own:
            raise RequestError(f"{where}: there is no split {name!r}; {nearest(name, own)}")
    columns = Columns(label="", text=source.text, image=source.image, domain=source.domain)
    wanted = [name for name in (source.text, source.image, source.domain) if name is not None]
    parts = [own[name] for name in (source.splits or own)]
    for part in parts:
        for name in wanted:
            if name not in part.column_names:
                raise RequestError(
                    f"{where}: there is no column {name!r}; {nearest(name, part.column_names)}"
                )
    try:
        dataset = datasets.concatenate_datasets([part.select_columns(wanted) for part in parts])
    except ValueError as e:
        raise RequestError(
            f"{where}: its splits do not hold the same kind of columns ({str(e)[:200]}); name one in `splits`"
        ) from e
    if not len(dataset):
        raise RequestError(f"{where}: expected rows, there are none")
    root = Path(source.path).expanduser() if source.path else Path()
    return Rows(dataset, root, where, columns, stamp=stamp)


def objects(samples: Sequence[Any]) -> Rows:
    """Texts or pictures that Python holds.

    Raises:
        RequestError: at a sample that is neither, or when both came.
    """
    import datasets
    import pyarrow as pa

    held = [stored(f"pool, row {i}", x) for i, x in enumerate(samples)]
    kinds = {type(x) for x in held}
    if len(kinds) != 1:
        came = "both" if kinds else "none"
        raise RequestError(f"pool: expected texts or pictures, {came} came; give one kind")
    text = kinds == {str}
    column = pa.array(held, pa.string() if text else pa.large_binary())
    columns = Columns(label="", text="x" if text else None, image=None if text else "x")
    return Rows(datasets.Dataset(pa.table({"x": column})), Path(), "the pool", columns)


ROADS: Mapping[str, Callable[[PoolSource], Rows]] = {
    "preset": _preset,
    "table": _table,
    "folder": _folder,
    "lines": _lines,
    "hub": _hub,
    "saved": _saved,
}
