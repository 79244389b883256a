"""Packaged benchmarks: each is a table built once into the cache, and a table config that points there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tether.data import digits, emoji, sentiment
from tether.data.config import DataConfig
from tether.data.once import once
from tether.data.package import Package
from tether.errors import RequestError, nearest
from tether.files import cache_dir


@dataclass(frozen=True)
class Preset:
    """A benchmark that packages carry.

    Attributes:
        line: what it is, in one line.
        recipe: raised when `build` changes, so that an older table in the cache is built anew.
        packages: what it is built from.
        build: gives the columns, each a list of one value a row; always the same ones.
        config: the table config, but for its path.
    """

    line: str
    recipe: int
    packages: tuple[Package, ...]
    build: Callable[[], dict[str, list[Any]]]
    config: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS = {"source": "table", "label": "label", "domain": "domain", "split": "split"}
PRESETS: Mapping[str, Preset] = {
    "digits": Preset(
        line="handwritten digits: MNIST for training, other writers and another scanner beyond",
        recipe=1,
        packages=digits.PACKAGES,
        build=digits.build,
        config=_COLUMNS | {"image": "image", "size": 64},
    ),
    "emoji": Preset(
        line="emoji of 17 classes of things: the noto style for training, other artists' styles beyond",
        recipe=1,
        packages=emoji.PACKAGES,
        build=emoji.build,
        config=_COLUMNS | {"image": "image", "group": "identity", "size": 112},
    ),
    "sentiment": Preset(
        line="short English texts, negative or positive: tweets for training, reviews and editorials beyond",
        recipe=1,
        packages=sentiment.PACKAGES,
        build=sentiment.build,
        config=_COLUMNS
        | {
            "text": "text",
            "group": "document",
            "classes": ["negative", "positive"],
            "limit": {"ood_val/amazon": 1000, "ood_test/movie": 1500, "ood_test/nyt": 1000},
        },
    ),
}


def list_presets() -> list[tuple[str, str]]:
    """Name and one line of each packaged benchmark.

    Example:
        >>> [name for name, _ in list_presets()]
        ['digits', 'emoji', 'sentiment']
    """
    return [(name, preset.line) for name, preset in PRESETS.items()]


def prepare(name: str) -> Path:
    """Build a packaged benchmark into the cache; its folder with `table.parquet` and `meta.json`.

    Done once; a folder of the same recipe is used as it is, without a network.

    Raises:
        RequestError: when there is no such benchmark, or its packages cannot be fetched.

    Example:
        >>> prepare("digits")  # doctest: +SKIP
        PosixPath('/home/you/.cache/tether/data/digits')
    """
    preset = _preset(name)

    def build(part: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet

        columns = preset.build()
        part.mkdir()
        pa.parquet.write_table(pa.table(columns), part / "table.parquet")
        counts = Counter(zip(columns["split"], columns["domain"], columns["label"], strict=True))
        meta = {
            "name": name,
            "recipe": preset.recipe,
            "packages": [
                {"name": p.name, "version": p.version, "sha256": p.sha256, "licence": p.licence}
                for p in preset.packages
            ],
            "rows": [
                {"split": split, "domain": domain, "label": label, "n": n}
                for (split, domain, label), n in sorted(counts.items())
            ],
        }
        (part / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")

    def fresh(folder: Path) -> bool:
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(meta.get("recipe") == preset.recipe) and (folder / "table.parquet").is_file()

    return once(cache_dir() / "data" / name, build, fresh)


def as_table(config: DataConfig) -> DataConfig:
    """The table config that a preset stands for, with the user's shared keys laid over the preset's own."""
    preset = _preset(config.preset or "")
    folder = prepare(config.preset or "")
    given = {key: getattr(config, key) for key in config.model_fields_set - {"preset"}}
    # Limits are laid over one by one; a split's limit replaces those of all its sets.
    own = {
        key: n
        for key, n in preset.config.get("limit", {}).items()
        if key.partition("/")[0] not in config.limit
    }
    limit = own | config.limit
    return DataConfig.model_validate(
        {**preset.config, "path": str(folder / "table.parquet"), **given, "limit": limit}
    )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise RequestError(f"expected a packaged benchmark, got {name!r}; {nearest(name, PRESETS)}")
    return PRESETS[name]
