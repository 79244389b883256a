"""The wilds source: WILDS benchmarks in the folders they are published in, read without the wilds package.

The columns relied on are those that the published loaders read (p-lambda/wilds, the dataset files of
camelyon17 1.0, fmow 1.1, iwildcam 2.0, civilcomments 1.0, amazon 2.0). Source: Koh et al., WILDS, ICML 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tether.data.config import DataConfig
from tether.data.rows import Rows
from tether.data.walk import the_folder
from tether.data.wilds_pictures import camelyon17, fmow, iwildcam
from tether.data.wilds_texts import amazon, civilcomments
from tether.errors import RequestError, nearest

READERS: Mapping[str, Callable[[Path], Rows]] = {
    "camelyon17": camelyon17,
    "fmow": fmow,
    "iwildcam": iwildcam,
    "civilcomments": civilcomments,
    "amazon": amazon,
}


def read_wilds(config: DataConfig) -> Rows:
    """Read one WILDS benchmark in its official split.

    `path` is the benchmark's folder ("camelyon17_v1.0") or the one above it. The OOD sets are the published
    `val` and `test`, one set each; `Batch.group` is the hospital, region, camera or user.

    Raises:
        RequestError: when the folder or a file of it is missing, or a row does not fit the layout.

    Example:
        >>> config = DataConfig(source="wilds", dataset="camelyon17", path="data")
        >>> read_wilds(config).columns.image  # doctest: +SKIP
        'image'
    """
    name = config.dataset or ""
    if name not in READERS:
        raise RequestError(f"data.dataset: there is no WILDS reader for {name!r}; {nearest(name, READERS)}")
    return READERS[name](_folder(config.path or "", name))


def _folder(given: str, name: str) -> Path:
    root = the_folder(given)
    versions = sorted(p for p in root.glob(f"{name}_v*") if p.is_dir())
    return versions[-1] if versions else root
