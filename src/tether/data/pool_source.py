"""What the config says of a pool: the `data:` keys that samples without labels have a use for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tether.data.presets import PRESETS
from tether.errors import RequestError, nearest
from tether.signature import checked_options

PUBLISHED = ("wilds", "imagenet")  # their layouts are their own; they are read as for training
# What each source needs, and what else it reads.
_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "preset": (("preset",), ()),
    "table": (("path",), ("text", "image", "domain")),
    "folder": (("path",), ()),
    "lines": (("path",), ()),
    "hub": (("name",), ("revision", "subset", "splits", "text", "image", "domain")),
    "saved": (("path",), ("splits", "text", "image", "domain")),
}
_ALWAYS = ("source", "limit", "on_error", "seed")
_WITH_COLUMNS = ("hub", "saved")  # a table's column may be found by its name


@dataclass(frozen=True)
class PoolSource:
    """Where unlabelled samples lie; keys mean what they mean in `data:`, but for those told here.

    Attributes:
        preset: all sets of a packaged benchmark, without their labels.
        source: also "lines", a text file with a text a line. A "folder" is searched at any depth.
        splits: of a data set with several; null takes all.
        text: the column with texts; a table's is found where it is called `text`.
        image: the column with pictures; a table's is found where it is called `image`.
        domain: the column that tags each row's domain; without one the pool has no tags.
        limit: at most so many samples, drawn at random by `seed`.
    """

    preset: str | None = None
    source: Literal["table", "folder", "lines", "hub", "saved", "wilds", "imagenet", "objects"] | None = None
    path: str | None = None
    name: str | None = None
    revision: str | None = None
    subset: str | None = None
    splits: tuple[str, ...] | None = None
    text: str | None = None
    image: str | None = None
    domain: str | None = None
    limit: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    seed: int = 0


def pool_source(spec: str | Mapping[str, Any]) -> PoolSource:
    """The checked keys of a pool; a bare string is a preset's name or a path.

    Raises:
        RequestError: an unknown key or value, a key that the source does not read, one that it needs.

    Example:
        >>> pool_source({"source": "lines", "path": "x.txt"}).path
        'x.txt'
    """
    if isinstance(spec, str):
        spec = _short(spec)
    if spec.get("source") in PUBLISHED:
        mine = {k: v for k, v in spec.items() if k in _ALWAYS}
        return _limited(PoolSource(**checked_options(PoolSource, mine, "pool", "a pool")))
    found = PoolSource(**checked_options(PoolSource, spec, "pool", "a pool"))
    kind: str = found.source or ("preset" if found.preset is not None else "")
    if kind not in _KEYS or (found.source and found.preset):
        known = ", ".join([*_KEYS, *PUBLISHED][1:])
        raise RequestError(f"pool: expected `preset: NAME` or `source` as one of {known}; name one")
    needs, reads = _KEYS[kind]
    for key in needs:
        if getattr(found, key) is None:
            raise RequestError(f"pool.{key}: source {kind!r} needs it; add it")
    for key, value in spec.items():
        if key not in (*_ALWAYS, *needs, *reads) and value is not None:
            raise RequestError(f"pool.{key}: source {kind!r} does not read it; leave it out")
    if (found.text and found.image) or (kind in _WITH_COLUMNS and not found.text and not found.image):
        raise RequestError("pool: expected a `text` or an `image` column, one of the two; name it")
    return _limited(found)


def _limited(source: PoolSource) -> PoolSource:
    if source.limit is not None and source.limit < 1:
        raise RequestError(f"pool.limit: expected at least 1 sample, got {source.limit}; null lifts it")
    return source


def _short(spec: str) -> Mapping[str, Any]:
    path = Path(spec).expanduser()
    if spec in PRESETS:
        return {"preset": spec}
    if path.is_dir():
        return {"source": "folder", "path": spec}
    if path.is_file():
        return {"source": "lines" if path.suffix.lower() == ".txt" else "table", "path": spec}
    raise RequestError(
        f"pool: {spec!r} is neither a packaged benchmark nor a file or folder; {nearest(spec, PRESETS)}"
    )
