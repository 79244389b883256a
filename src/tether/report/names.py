"""A run of a grid is named by what differs: `rdft(alpha=1)` beside `rdft(alpha=0.5)`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tether.report.records import Run

ALONE = (
    "seed",
    "output",
    "train.checkpoint_every",
    "train.cache_mb",
)  # what does not make another point of a grid


def named_by_difference(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, those of one method but of several configs renamed by the keys in which they differ.

    A value that most of a method's points share, of three or more, goes without saying. A key that one run's
    config does not have (an older run) is no difference.

    Example:
        >>> named_by_difference(())
        ()
    """
    flat = [_flat(run.config) for run in runs]
    names = [run.method for run in runs]
    for method in dict.fromkeys(names):
        mine = [i for i, run in enumerate(runs) if run.method == method]
        points = list({json.dumps(flat[i], sort_keys=True): flat[i] for i in mine}.values())
        differing = {}
        for key in dict.fromkeys(k for point in points for k in point):
            counts = Counter(json.dumps(point[key]) for point in points if key in point)
            if len(counts) > 1:
                value, often = counts.most_common(1)[0]
                differing[key] = value if often > len(points) / 2 and len(points) > 2 else None
        for i in mine:
            said = [
                f"{key.removeprefix('method.')}={_short(flat[i][key])}"
                for key, usual in differing.items()
                if key in flat[i] and json.dumps(flat[i][key]) != usual
            ]
            if said:
                names[i] = f"{method}({', '.join(said)})"
    return tuple(
        run if run.method == name else replace(run, method=name)
        for run, name in zip(runs, names, strict=True)
    )


def base_name(name: str) -> str:
    """The method of a name: rdft of `rdft(alpha=1)`."""
    return name.partition("(")[0]


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{key}.")
        elif f"{prefix}{key}" not in ALONE:
            found[f"{prefix}{key}"] = value
    return found


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)
