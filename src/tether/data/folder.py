"""The folder source: a sub-folder a class, perhaps below a folder a split or a domain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tether.data.config import DataConfig
from tether.data.rows import Columns, Rows
from tether.data.walk import has_pictures, pictures, subfolders, the_folder
from tether.errors import RequestError, nearest

SPLIT_NAMES = {
    "train": "train",
    "val": "id_val",
    "valid": "id_val",
    "validation": "id_val",
    "id_val": "id_val",
    "test": "id_test",
    "id_test": "id_test",
    "ood_val": "ood_val",
    "ood_test": "ood_test",
}
OOD = ("ood_val", "ood_test")


@dataclass
class Found:
    """Pictures as they are met, a list a column."""

    path: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    domain: list[str] = field(default_factory=list)

    def add(self, paths: list[str], label: str, split: str = "", domain: str = "") -> None:
        """Add the pictures of one class folder."""
        self.path += paths
        self.label += [label] * len(paths)
        self.split += [split] * len(paths)
        self.domain += [domain] * len(paths)


def read_folder(config: DataConfig) -> Rows:
    """Read class folders in one of three layouts.

    `<class>/*.png`; or `train/<class>/`, with `val/` and `test/` beside it and `ood_val/<domain>/<class>/`,
    `ood_test/<domain>/<class>/`, of which all but train may be missing; or, with `ood_domains`,
    `<domain>/<class>/`. A folder named train that holds pictures itself is a class.

    Raises:
        RequestError: at an unknown split folder, a class folder of train without pictures, or a link that
            leaves the folder.

    Example:
        >>> len(read_folder(DataConfig(source="folder", path="animals")))  # doctest: +SKIP
        1200
    """
    root = the_folder(config.path or "")
    found = Found()
    top = subfolders(root, root)
    by_split = (root / "train").is_dir() and not has_pictures(root / "train")
    if config.ood_domains is not None:
        for place in top:
            _classes(root, place, found, "", place.name)
    elif by_split and subfolders(root, root / "train"):
        for split, domain, folder in _splits(root, top):
            _classes(root, folder, found, split, domain)
    else:
        by_split = False
        _classes(root, root, found, "", "")
    if not found.path:
        raise RequestError(
            f"data.path: found no picture in class folders below {root}; expected <class>/*.png or "
            "train/<class>/*.png there"
        )
    given = config.ood_domains is None and by_split
    return rows_of(root, found, split=given, domain=given or config.ood_domains is not None)


def rows_of(root: Path, found: Found, split: bool, domain: bool) -> Rows:
    """Rows over the pictures found; paths in Arrow, the names beside it."""
    import datasets
    import pyarrow as pa

    made = {"label": found.label} | ({"split": found.split} if split else {})
    if domain:
        made["domain"] = found.domain
    return Rows(
        dataset=datasets.Dataset(pa.table({"image": pa.array(found.path, pa.string())})),
        root=root,
        where=str(root),
        columns=Columns(
            label="label",
            image="image",
            split="split" if split else None,
            domain="domain" if domain else None,
        ),
        made=made,
        completes=True,
    )


def _splits(root: Path, top: list[Path]) -> Iterator[tuple[str, str, Path]]:
    """Split, domain and folder of each folder that holds class folders."""
    met: dict[str, str] = {}
    for folder in top:
        if folder.name not in SPLIT_NAMES:
            raise RequestError(
                f"{root}: expected split folders beside train, came {folder.name!r}; "
                f"{nearest(folder.name, SPLIT_NAMES)}"
            )
        split = SPLIT_NAMES[folder.name]
        if met.setdefault(split, folder.name) != folder.name:
            raise RequestError(
                f"{root}: the folders {met[split]!r} and {folder.name!r} both mean {split}; keep one of them"
            )
        if split not in OOD:
            yield split, "id", folder
            continue
        for domain in subfolders(root, folder):
            if has_pictures(domain):
                raise RequestError(
                    f"{domain}: expected class folders below a domain's folder "
                    f"({folder.name}/<domain>/<class>), came pictures; put a folder for the domain in between"
                )
            yield split, domain.name, domain


def _classes(root: Path, folder: Path, found: Found, split: str, domain: str) -> None:
    for one in subfolders(root, folder):
        paths = pictures(root, one)
        if not paths and split in ("", "train"):
            raise RequestError(f"{one}: expected pictures of the class {one.name!r}, found none; remove it")
        found.add(paths, one.name, split, domain)
