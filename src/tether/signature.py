"""A function's signature as the schema of the options a config gives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

from tether.errors import RequestError, nearest


def checked_options(
    function: Callable[..., Any], given: Mapping[str, Any], where: str, owner: str
) -> dict[str, Any]:
    """All of a function's options: defaults filled in, types checked.

    Args:
        function: its annotations are the types, its defaults the defaults.
        given: what the config says.
        where: the config's key, for errors.
        owner: whose options these are, for errors.

    Raises:
        RequestError: an unknown key (with the nearest), one that is missing, a value of the wrong type.

    Example:
        >>> def fog(density: float = 0.5) -> None: ...
        >>> checked_options(fog, {"density": "0.7"}, "shift", "fog")
        {'density': 0.7}
    """
    signature = inspect.signature(function, eval_str=True)
    for key in given:
        if key not in signature.parameters:
            known = nearest(key, signature.parameters) if signature.parameters else "it takes none"
            raise RequestError(f"{where}.{key}: {owner} has no such option; {known}")
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in signature.parameters.values()
    }
    schema = create_model(f"{owner}_options", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        checked = TypeAdapter(schema).validate_python(dict(given))
    except ValidationError as e:
        first = e.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "?"
        if first["type"] == "missing":
            raise RequestError(f"{where}.{key}: {owner} needs this option; give it a value") from e
        raise RequestError(f"{where}.{key}: {first['msg']}, got {first['input']!r}") from e
    return {key: getattr(checked, key) for key in fields}
