"""The saved source: a folder that `datasets` wrote with `save_to_disk`, mapped from where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tether.data.config import DataConfig
from tether.data.mapped import settled, stamp_of
from tether.data.named_splits import joined
from tether.data.refuse import PICKLES
from tether.data.rows import Rows
from tether.data.walk import the_folder
from tether.errors import RequestError
from tether.files import read_json

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"


def read_saved(config: DataConfig) -> Rows:
    """Read a `datasets.Dataset` or `DatasetDict` that was saved to disk.

    `load_from_disk` reads two JSON files and memory-maps Arrow files and unpickles nothing (datasets 5.2);
    what it does not check, that those Arrow files lie in the folder, is checked here first.

    Raises:
        RequestError: when the folder was not saved by `datasets`, or points outside of itself.

    Example:
        >>> config = DataConfig(source="saved", path="reviews", text="text", label="label")
        >>> len(read_saved(config))  # doctest: +SKIP
        120
    """
    root = the_folder(config.path or "")
    loaded, stamp = open_saved(root)
    return joined(loaded, config, str(root), stamp)


def open_saved(root: Path) -> tuple[Any, str | None]:
    """What lies in the folder, a data set or a dictionary of them, and its stamp if it is old enough.

    Raises:
        RequestError: as `read_saved`.
    """
    import datasets
    import pyarrow as pa

    parts = _parts(root)
    for part in parts:
        _check_part(root, part)
    try:
        loaded: Any = datasets.load_from_disk(str(root))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as e:
        raise RequestError(
            f"{root}: expected a folder saved by `datasets`, but it does not read as one "
            f"({type(e).__name__}: {str(e)[:200]}); save it again"
        ) from e
    files = [file for part in parts for file in sorted(part.glob("*.arrow"))]
    old = all(settled(file.stat().st_mtime) for file in files)
    return loaded, "".join(stamp_of(file) for file in files) if old else None


def _parts(root: Path) -> list[Path]:
    if (root / PARTS).is_file():
        names = read_json(root / PARTS).get("splits", [])
        return [root / str(name) for name in names]
    if (root / STATE).is_file():
        return [root]
    pickles = sorted(p.name for p in root.iterdir() if p.suffix.lower() in PICKLES)
    if pickles:
        raise RequestError(
            f"{root}: holds the pickle {pickles[0]!r}, and reading a pickle runs the code in it; expected a "
            "folder saved by `datasets` (Dataset.save_to_disk), which holds Arrow and JSON files alone"
        )
    raise RequestError(
        f"{root}: expected {STATE} or {PARTS}, which `datasets` writes with save_to_disk; neither is there. "
        "For class folders of pictures use source: folder, for tables source: table."
    )


def _check_part(root: Path, part: Path) -> None:
    inside = root.resolve()
    if not part.resolve().is_relative_to(inside):
        raise RequestError(
            f"{root / PARTS}: the split {part.name!r} lies outside of the folder; save it again"
        )
    for entry in read_json(part / STATE).get("_data_files", []):
        name = str(entry.get("filename", ""))
        file = part / name
        if not file.resolve().is_relative_to(inside) or file.suffix != ".arrow":
            raise RequestError(
                f"{part / STATE}: names the file {name!r}; expected .arrow files in the folder itself. Check "
                "where the folder came from, or save it again."
            )
        if not file.is_file():
            raise RequestError(f"{part}: the file {name!r} is missing; copy the whole folder again")
