"""Dates: read from a column or the config, and rows split by them, the early ones for training."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tether.data.config_parts import Moment, SplitTime
from tether.data.splits import PURPOSE, Sets, collect
from tether.errors import RequestError

Seconds = NDArray[np.float64]
LATER = ("id_val", "id_test", "ood_val", "ood_test")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def seconds(value: Any) -> float:
    """Seconds since 1970 of a date, a datetime, an ISO 8601 string, a year, or of seconds themselves.

    A whole number of four digits is a year; any other number is seconds since 1970. A time without a zone is
    taken as UTC: only the order matters, and it must not hang on the machine.

    Raises:
        ValueError: for anything else.

    Example:
        >>> seconds("1970-01-02"), seconds(1971), seconds("1970-01-01T00:00:05Z")
        (86400.0, 31536000.0, 5.0)
    """
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return (aware - EPOCH).total_seconds()
    if isinstance(value, datetime.date):
        return seconds(datetime.datetime(value.year, value.month, value.day))
    if isinstance(value, bool):
        raise ValueError("a truth value is no date")
    if isinstance(value, (int, float)):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("not a number")
        return seconds(datetime.date(int(value), 1, 1)) if 1000 <= value <= 9999 else float(value)
    if isinstance(value, str):
        text = value.strip()
        if text.removeprefix("-").replace(".", "", 1).isdigit():
            # "20160101" is a date in ISO's short form, not seconds.
            short = len(text) == 8 and text.isdigit()
            return seconds(datetime.datetime.fromisoformat(text)) if short else seconds(float(text))
        return seconds(datetime.datetime.fromisoformat(text))
    raise ValueError(f"a value of type {type(value).__name__}")


def read_times(where: str, name: str, values: Sequence[Any]) -> Seconds:
    """A column of dates as seconds since 1970, (N,).

    Raises:
        RequestError: at the first value that is no date, with its row.
    """
    found = np.empty(len(values))
    for row, value in enumerate(values):
        try:
            found[row] = seconds(value)
        except (ValueError, OverflowError) as e:
            came = "nothing" if value is None or value == "" else repr(value)
            raise RequestError(
                f"{where}: expected a date in column {name!r} (2016-03-01, 2016-03-01T12:00, a year, or "
                f"seconds since 1970), row {row} has {came}; mend or remove the row"
            ) from e
    return found


def by_time(where: str, times: Seconds, split: SplitTime, groups: Sequence[str] | None) -> Sets:
    """Rows before the first moment are train's, those from a set's moment on are that set's.

    Equal times never lie in two sets. An OOD set is named by the day it begins: "ood_test/from 2016-01-01".
    With groups, a row whose group already serves another purpose earlier in time is in no set.

    Raises:
        RequestError: when the moments are not in order or a set they begin is empty.
    """
    starts = {name: _moment(name, getattr(split, name), times) for name in LATER if getattr(split, name)}
    names = list(starts)
    for earlier, later in pairwise(names):
        if starts[earlier] >= starts[later]:
            raise RequestError(
                f"data.split_time: expected {earlier} to begin before {later}, came "
                f"{_day(starts[earlier])} and {_day(starts[later])}; the order in time is train, "
                f"{', '.join(LATER)}"
            )
    side = np.searchsorted(np.array(list(starts.values())), times, side="right")  # 0 is train
    result = np.array(["train", *names], dtype=object)[side]
    for name in ("train", *names):
        if not (result == name).any():
            span = f"{_day(times.min())} to {_day(times.max())}"
            raise RequestError(
                f"{where}: no row falls into {name} by data.split_time; the times go from {span}. Choose "
                "moments between them."
            )
    if groups is not None:
        purpose: dict[str, str] = {}
        for i in np.argsort(side, kind="stable"):
            if purpose.setdefault(groups[i], PURPOSE[result[i]]) != PURPOSE[result[i]]:
                result[i] = ""
    named = {name: f"{name}/from {_day(starts[name])}" for name in names if name[:3] == "ood"}
    return collect([named.get(name, name) for name in result])


def _moment(name: str, value: Moment, times: Seconds) -> float:
    if isinstance(value, float):
        # "higher" gives a time that occurs, so the set holds at least the rows of that time.
        return float(np.quantile(times, value, method="higher"))
    try:
        return seconds(value)
    except ValueError as e:
        raise RequestError(
            f"data.split_time.{name}: expected a date (2016-01-01) or a share between 0 and 1, got {value!r}"
        ) from e


def _day(moment: float) -> str:
    day = EPOCH + datetime.timedelta(seconds=float(moment))
    exact = (moment % 86400) == 0
    return day.strftime("%Y-%m-%d" if exact else "%Y-%m-%dT%H:%M:%S")
