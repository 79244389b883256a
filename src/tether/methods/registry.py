"""Methods by name: the built-in ones and those of other packages, each with its signature as its schema."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tether import plugins
from tether.errors import RequestError, nearest
from tether.methods.method import Method
from tether.signature import checked_options

GROUP = "tether.methods"
BUILT_IN: Mapping[str, str] = {
    name: f"tether.methods.{name}"
    for name in (
        "zero_shot",
        "linear_probe",
        "finetune",
        "lp_ft",
        "l2_sp",
        "wise_ft",
        "ema",
        "swa",
        "soup",
        "lora",
        "sdft",
        "vpt",
        "flyp",
        "car_ft",
        "trades",
        "vat",
        "apt",
        "aug_ce",
        "kd_clean",
        "single_teacher",
        "combined_head",
        "hybrid_kd",
        "dad_lite",
        "dad",
        "robust_teacher",
        "three_head",
        "rdft",
    )
}

Builder = Callable[..., Method]


def names() -> list[str]:
    """Every known method, built-in first."""
    return [*BUILT_IN, *(name for name in plugins.names(GROUP) if name not in BUILT_IN)]


def builder(name: str) -> Builder:
    """The function that composes a method.

    Raises:
        RequestError: for an unknown name, or an entry point that does not import.
    """
    if name in BUILT_IN:
        built_in: Builder = getattr(importlib.import_module(BUILT_IN[name]), name)
        return built_in
    found: Builder | None = plugins.find(GROUP, name, "method")
    if found is not None:
        return found
    raise RequestError(f"method: there is no method {name!r}; {nearest(name, names())}")


def options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a method, defaults filled in and types checked.

    Raises:
        RequestError: for an unknown key (with the nearest) or a value of the wrong type.
    """
    return checked_options(builder(name), given, "method", name)


def build(name: str, given: Mapping[str, Any]) -> Method:
    """Compose a method from its name and options."""
    return builder(name)(**options(name, given))


def summary(name: str) -> str:
    """The first line of a method's docstring."""
    return (inspect.getdoc(builder(name)) or "").split("\n")[0]
