"""The imagenet source: ImageNet and its variants, in the folders they are published in.

Which classes a variant has is read off its folders, and what a class's position is off the user's class list:
both lists are published with the data, and a copy of ours could only go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tether.data.class_list import class_list
from tether.data.config import DataConfig
from tether.data.examples import Ints
from tether.data.folder import Found
from tether.data.imagenet_classes import ClassIndex
from tether.data.objectnet import BORDER, read_mapping
from tether.data.rows import Columns, Rows
from tether.data.walk import pictures, subfolders, the_folder
from tether.errors import RequestError, nearest

# Classes of the published sets. An archive unpacked in part would ask for fewer, and flatter the score.
PUBLISHED = {"v2": 1000, "r": 200, "a": 200, "sketch": 1000, "c": 1000, "objectnet": 113}
SEVERITIES = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Part:
    """Class folders of one set.

    Attributes:
        split: id_test, ood_test, ...
        domain: "imagenet-r", "frost/3", ...
        folders: a class folder, its class's position, and how many pixels to cut off its pictures.
        answer: for each class, the class it counts as here, (C,), -1 where it is not asked for.
    """

    split: str
    domain: str
    folders: list[tuple[Path, int]]
    answer: Ints | None = None
    border: int = 0


def read_imagenet(config: DataConfig) -> Rows:
    """Read ImageNet (`train` and `val`, a folder a wnid) and the variants it is tested on.

    ImageNet's `val` is the ID test set, id_val is drawn from `train`; with `val` alone all three are drawn
    from it. `classes` is a text file with a wnid a line in the model's order, perhaps a name behind it. The
    variants are OOD test sets, but for c, whose folders are stress sets of their corruption and severity. A
    variant with fewer classes is scored among those (`DataBundle.answers`).

    Raises:
        RequestError: when a folder is missing, or its name is no class of the list.

    Example:
        >>> config = DataConfig(source="imagenet", path="imagenet", classes="wnids.txt", variants={"r": "r"})
        >>> list(read_imagenet(config).answers)  # doctest: +SKIP
        ['ood_test/imagenet-r']
    """
    root = the_folder(config.path or "")
    index = ClassIndex.of(class_list(config.classes) or ())
    parts = list(_imagenet(root, index))
    for name, given in (config.variants or {}).items():
        if name not in VARIANTS:
            raise RequestError(f"data.variants: there is no variant {name!r}; {nearest(name, VARIANTS)}")
        parts += VARIANTS[name](the_folder(given, f"data.variants.{name}"), index)
    return _rows(root, parts, index)


def _imagenet(root: Path, index: ClassIndex) -> Iterator[Part]:
    found = {name: root / name for name in ("train", "val") if (root / name).is_dir()}
    if not found:
        raise RequestError(f"{root}: expected the folders train and val, or val alone; neither is there")
    roles = {"train": "train", "val": "id_test" if "train" in found else "train"}
    for name, folder in found.items():
        yield Part(roles[name], "imagenet", _by_class(root, folder, index))


def _by_class(root: Path, folder: Path, index: ClassIndex) -> list[tuple[Path, int]]:
    classes = subfolders(root, folder)
    if not classes:
        raise RequestError(f"{folder}: expected a folder for each class, there is none; check the path")
    return [(path, index.position(path)) for path in classes]


def _plain(name: str) -> Callable[[Path, ClassIndex], list[Part]]:
    def read(root: Path, index: ClassIndex) -> list[Part]:
        folders = _by_class(root, root, index)
        return [Part("ood_test", f"imagenet-{name}", folders, index.asked(p for _, p in folders))]

    return read


def _objectnet(root: Path, index: ClassIndex) -> list[Part]:
    """Only objects that ImageNet has, each standing for one or several classes; the frame is cut off."""
    counts_as = read_mapping(root, index)
    images = root / "images" if (root / "images").is_dir() else root
    answer = np.full(len(index.names), -1, dtype=np.int64)
    for positions in counts_as.values():
        answer[list(positions)] = min(positions)
    present = [p for p in subfolders(root, images) if p.name in counts_as]
    if not present:
        raise RequestError(
            f"{images}: holds none of the {len(counts_as)} class folders that the mappings name"
        )
    folders = [(path, min(counts_as[path.name])) for path in present]
    return [Part("ood_test", "objectnet", folders, answer, BORDER)]


def _corrupted(root: Path, index: ClassIndex) -> list[Part]:
    """<corruption>/<severity>/<wnid>, perhaps below a folder an archive (weather/frost)."""
    places = subfolders(root, root)
    found = [p for p in places if _severities(root, p)]
    found += [
        p for place in places if place not in found for p in subfolders(root, place) if _severities(root, p)
    ]
    if not found:
        raise RequestError(
            f"{root}: expected <corruption>/<severity from 1 to 5>/<wnid> below it, as ImageNet-C has"
        )
    names = [p.name for p in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RequestError(f"{root}: holds the corruptions {twice} twice; keep one folder of each")
    return [
        Part("stress", f"{place.name}/{level.name}", folders, index.asked(p for _, p in folders))
        for place in found
        for level in _severities(root, place)
        for folders in [_by_class(root, level, index)]
    ]


def _severities(root: Path, place: Path) -> list[Path]:
    return [p for p in subfolders(root, place) if p.name in SEVERITIES]


VARIANTS: Mapping[str, Callable[[Path, ClassIndex], list[Part]]] = {
    "v2": _plain("v2"),
    "r": _plain("r"),
    "a": _plain("a"),
    "sketch": _plain("sketch"),
    "c": _corrupted,
    "objectnet": _objectnet,
}


def _rows(root: Path, parts: list[Part], index: ClassIndex) -> Rows:
    import datasets
    import pyarrow as pa

    found, borders, notes = Found(), [], []
    answers: dict[str, Ints] = {}
    for part in parts:
        for folder, position in part.folders:
            # Variants lie in folders of their own, so paths are absolute but for ImageNet's.
            files = [str(folder.absolute() / name) for name in pictures(folder, folder)]
            if not files:
                raise RequestError(f"{folder}: expected pictures, found none; unpack the archive again")
            found.add(files, index.names[position], part.split, part.domain)
            borders += [part.border] * len(files)
        if part.answer is None:
            continue
        asked = len({int(a) for a in part.answer if a >= 0})
        if asked < len(index.names):
            answers[f"{part.split}/{part.domain}"] = part.answer
        kind = "c" if part.split == "stress" else part.domain.removeprefix("imagenet-")
        if asked != PUBLISHED[kind]:
            notes.append(f"{part.domain} has {asked} classes here, {PUBLISHED[kind]} as published")
    values = [{"path": path, "border": border} for path, border in zip(found.path, borders, strict=True)]
    kind = pa.struct([("path", pa.string()), ("border", pa.int64())])
    return Rows(
        dataset=datasets.Dataset(pa.table({"image": pa.array(values, kind)})),
        root=root,
        where=str(root),
        columns=Columns(label="label", image="image", split="split", domain="domain"),
        made={"label": found.label, "split": found.split, "domain": found.domain},
        classes=index.names,
        completes=True,
        published=True,
        answers=answers,
        notes=tuple(notes),
    )
