"""JSON that every reader takes: what is not a number is null."""

from __future__ import annotations

import json
import math
from typing import Any


def finite(value: Any) -> Any:
    """The same nest of lists and mappings with None for NaN and the infinities.

    Example:
        >>> finite({"a": (1.0, float("nan"))})
        {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if unknown(value) else value


def unknown(value: Any) -> bool:
    """Whether it is a float that says nothing."""
    return isinstance(value, float) and not math.isfinite(value)


def strict_json(value: Any) -> str:
    """Indented text of the finite values, with a line end."""
    return json.dumps(finite(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
