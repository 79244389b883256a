"""ObjectNet's mappings to ImageNet: the user's own copy, as published in the folder `mappings/`.

Facts relied on: folder_to_objectnet_label.json gives an object's name for a folder;
objectnet_to_imagenet_1k.json gives, for the 113 objects that ImageNet has, one or several ImageNet names,
joined by "; "; the line of such a name in imagenet_to_label_2012_v2, looked up in
pytorch_to_imagenet_2012_id.json, is its position in torchvision's order (sorted wnids). Source: Barbu et al.,
ObjectNet, NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tether.data.imagenet_classes import ClassIndex, is_wnid
from tether.errors import RequestError
from tether.files import read_json

BORDER = 2  # a red frame of 2 pixels that lets copies be found; it must be cut off before testing
FILES = (
    "folder_to_objectnet_label.json",
    "objectnet_to_imagenet_1k.json",
    "pytorch_to_imagenet_2012_id.json",
)
LINES = "imagenet_to_label_2012_v2"


def read_mapping(root: Path, index: ClassIndex) -> Mapping[str, tuple[int, ...]]:
    """Folder name -> positions, in the model's order, of the ImageNet classes it stands for.

    Raises:
        RequestError: when a file is missing, or the files do not fit each other or the class list.
    """
    place = root / "mappings"
    for name in (*FILES, LINES):
        if not (place / name).is_file():
            raise RequestError(
                f"{place / name}: expected this file of the published ObjectNet, there is none"
            )
    folders, objects, lines = (read_json(place / name) for name in FILES)
    labels = [line.strip() for line in (place / LINES).read_text(encoding="utf-8").splitlines()]
    order = _sorted_positions(index)
    try:
        position = {labels[int(line)]: order[int(torch)] for torch, line in lines.items()}
        counts_as = {
            folder: tuple(position[name] for name in _names(objects[name_of]))
            for folder, name_of in folders.items()
            if name_of in objects
        }
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as e:
        raise RequestError(
            f"{place}: the files do not fit each other or the {len(order)} classes of data.classes "
            f"({type(e).__name__}: {e}); expected the published files and the class list of all of ImageNet"
        ) from e
    met: dict[int, str] = {}
    for folder, positions in counts_as.items():
        for p in positions:
            if met.setdefault(p, folder) != folder:
                raise RequestError(f"{place}: {met[p]!r} and {folder!r} both stand for {index.names[p]}")
    return counts_as


def _names(joined: Any) -> list[str]:
    return [name.strip() for name in joined.split("; ")]


def _sorted_positions(index: ClassIndex) -> list[int]:
    """Torchvision's number of a class -> its position in the model's order; the former is by sorted wnid."""
    if not all(is_wnid(name) for name in index.names):
        raise RequestError("data.classes: ObjectNet's mappings need a wnid in each line; give such a list")
    return [int(i) for i in np.argsort(np.array(index.names))]
