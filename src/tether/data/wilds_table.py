"""What the readers of the WILDS tables share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tether.data.examples import column
from tether.data.table import open_table
from tether.errors import RequestError, nearest

# How the published tables call the splits; "val" and "test" are the out-of-distribution ones.
ROLES = {"train": "train", "id_val": "id_val", "id_test": "id_test", "val": "ood_val", "test": "ood_test"}


def read_columns(path: Path, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Columns of a published table; CSV comes as text."""
    if not path.is_file():
        raise RequestError(
            f"{path}: expected this file of the published layout, there is none; check data.path, or fetch "
            "and unpack the benchmark again"
        )
    table = open_table(path, names)[0]
    return {name: column(table, name) for name in names}


def roles(path: Path, splits: Sequence[Any], known: Mapping[Any, str]) -> list[str]:
    """Our split for each of the table's.

    Raises:
        RequestError: at an unknown one, with its row.
    """
    for row, split in enumerate(splits):
        if split not in known:
            hint = nearest(str(split), [str(name) for name in known])
            raise RequestError(f"{path}: unknown split {split!r} in row {row}; {hint}")
    return [known[split] for split in splits]


def number(path: Path, row: int, name: str, value: Any) -> float:
    """A cell as a number.

    Raises:
        RequestError: when it is none, with its row.
    """
    try:
        return float(value)
    except (TypeError, ValueError) as e:
        raise RequestError(f"{path}: expected a number in column {name!r}, row {row} has {value!r}") from e


def set_name(split: str, what: str) -> str:
    """The domain of a row; validation and test are disjoint in users or cameras by the published split.

    Example:
        >>> set_name("ood_test", "users"), set_name("train", "users")
        ('new users', 'training')
    """
    return {"ood_val": f"validation {what}", "ood_test": f"new {what}"}.get(split, "training")
