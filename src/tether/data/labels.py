"""A label column becomes class names and class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tether.data.rows import Rows
from tether.errors import RequestError, nearest

if TYPE_CHECKING:
    import datasets

Ints = NDArray[np.int64]


def read_labels(
    rows: Rows, name: str, classes: tuple[str, ...] | None = None
) -> tuple[tuple[str, ...], Ints]:
    """Class names in order, and each row's index into them, (N,).

    Without `classes` the order is sorted, by value when all names are integers, so that it does not hang on
    the order of the rows. A `datasets.ClassLabel` column brings its own names.

    Raises:
        RequestError: at a null, fractional or unknown label, with its row; or when there is a single class.
    """
    values = rows.values(name)
    names = None if name in rows.made else _own_names(rows.dataset, name)
    words = [_word(rows.where, name, row, value, names) for row, value in enumerate(values)]
    if classes is None:
        found = names or tuple(sorted(set(words), key=_order(set(words))))
    else:
        found = classes
        if len(set(classes)) < len(classes):
            raise RequestError(f"data.classes: expected each class once, came {list(classes)}")
    if len(found) < 2 or len(set(words)) < 2:
        raise RequestError(
            f"{rows.where}: expected two classes or more in column {name!r}, came only {sorted(set(words))}; "
            "there is nothing to tell apart"
        )
    index = {word: i for i, word in enumerate(found)}
    for row, word in enumerate(words):
        if word not in index:
            raise RequestError(
                f"{rows.where}: the label {word!r} in row {row} is not among data.classes; "
                f"{nearest(word, index)}"
            )
    return found, np.array([index[word] for word in words], dtype=np.int64)


def _own_names(dataset: datasets.Dataset, name: str) -> tuple[str, ...] | None:
    import datasets

    feature = dataset.features[name]
    return tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _word(where: str, name: str, row: int, value: Any, names: tuple[str, ...] | None) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas turns integers into floats where a column once had a gap
    if isinstance(value, (str, int)) and str(value).strip():
        if names is None:
            return str(value).strip()
        if isinstance(value, int) and 0 <= value < len(names):
            return names[value]
    blank = value is None or value == "" or value != value
    came = "nothing" if blank else repr(value)
    raise RequestError(
        f"{where}: expected a class name or an integer in the label column {name!r}, row {row} has {came} "
        "(rows count from 0, without a header); fill it in or remove the row"
    )


def _order(words: set[str]) -> Any:
    try:
        numbers = {word: int(word) for word in words}
    except ValueError:
        return str
    return lambda word: (numbers[word], word)
