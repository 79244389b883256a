"""A data set with splits of its own becomes rows with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tether.data.config import DataConfig
from tether.data.config_parts import SPLITS
from tether.data.folder import SPLIT_NAMES
from tether.data.rows import Rows, columns_of
from tether.errors import RequestError, nearest


def joined(loaded: Any, config: DataConfig, where: str, stamp: str | None) -> Rows:
    """Rows over a `datasets.Dataset`, or over the splits of a `DatasetDict`, one after the other.

    Of several splits, `config.splits` says which one is what ({id_test: test, ood_test/photo: photo});
    without it train, validation and test are taken by their usual names. A single data set, or only one split
    named train, is divided by the config like a table. Splits that are not asked for are left out.

    Raises:
        RequestError: at a missing split or column, or when the splits do not agree on columns and classes.
    """
    import datasets

    columns = columns_of(config)
    parts = _parts(loaded, config, where)
    for part in parts.values():
        for name in columns.wanted:
            if name not in part.column_names:
                raise RequestError(
                    f"{where}: there is no column {name!r}; {nearest(name, part.column_names)}"
                )
    picked = {name: part.select_columns(columns.wanted) for name, part in parts.items()}
    _check_same(picked, where)
    dataset = datasets.concatenate_datasets(list(picked.values()))
    if not len(dataset):
        raise RequestError(f"{where}: expected rows, there are none")
    root = Path(config.path).expanduser() if config.path else Path()
    if len(picked) == 1 and config.splits is None:
        return Rows(dataset, root, where, columns, stamp=stamp)
    if config.split or config.ood_domains or config.split_time:
        raise RequestError(
            f"{where}: has splits of its own ({', '.join(picked)}), so `split`, `ood_domains` and "
            "`split_time` have nothing to say; remove them, or name one split alone in `splits`"
        )
    made: dict[str, list[str]] = {"split": [], "set domain": []}
    for name, part in picked.items():
        split, _, domain = name.partition("/")
        made["split"] += [split] * len(part)
        made["set domain"] += [domain or "id"] * len(part)
    columns = replace(columns, split="split", domain="set domain", subgroup=config.domain)
    return Rows(dataset, root, where, columns, made=made, completes=True, stamp=stamp)


def _parts(loaded: Any, config: DataConfig, where: str) -> dict[str, Any]:
    own: dict[str, Any] = dict(loaded) if isinstance(loaded, Mapping) else {"train": loaded}
    if config.splits is not None:
        parts = {}
        for ours, theirs in config.splits.items():
            split, _, domain = ours.partition("/")
            if split not in SPLITS or (split[:3] == "ood") != bool(domain):
                raise RequestError(
                    f"data.splits: expected {', '.join(SPLITS[:3])}, ood_val/<domain> or ood_test/<domain>, "
                    f"got {ours!r}"
                )
            if theirs not in own:
                raise RequestError(f"{where}: there is no split {theirs!r}; {nearest(theirs, own)}")
            parts[ours] = own[theirs]
        return parts
    parts = {
        SPLIT_NAMES[name]: part for name, part in own.items() if SPLIT_NAMES.get(name, "ood")[:3] != "ood"
    }
    if "train" not in parts:
        raise RequestError(
            f"{where}: expected a split named train among {', '.join(own)}; say which one is what with "
            "`splits: {train: ..., id_test: ...}`"
        )
    return {name: parts[name] for name in SPLITS if name in parts}


def _check_same(parts: Mapping[str, Any], where: str) -> None:
    """Class names in another order would silently turn every label of a split into another class."""
    first, *others = parts
    features = parts[first].features
    for name in others:
        for column, feature in parts[name].features.items():
            if feature != features[column]:
                raise RequestError(
                    f"{where}: the column {column!r} is {features[column]} in {first}, {feature} in {name}; "
                    "expected one kind, and class names in one order. Cast one of them and save it again."
                )
