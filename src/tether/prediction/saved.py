"""A rule beside a saved model, and the rule of a model that was loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tether import plugins
from tether.errors import RequestError, nearest
from tether.files import write_json
from tether.models.load import RULE
from tether.models.model import Model
from tether.prediction.rule import Predict, softmax_main
from tether.prediction.selection import NAME, select_head
from tether.signature import checked_options

GROUP = "tether.prediction"
MAKERS: Mapping[str, Callable[..., Predict]] = {softmax_main.name: lambda: softmax_main, NAME: select_head}


def write_rule(rule: Predict, folder: Path) -> None:
    """Write `predict.json` into a saved model's folder; the softmax of the main head needs none."""
    if rule.name != softmax_main.name:
        write_json(folder / RULE, {"name": rule.name, "options": dict(rule.options)})


def rule_of(said: Mapping[str, Any] | None) -> Predict:
    """The rule that `predict.json` describes; None is the softmax of the main head.

    Raises:
        RequestError: a rule that nothing here makes, or options that it does not take.
    """
    if said is None:
        return softmax_main
    name = str(said.get("name"))
    make = MAKERS.get(name) or plugins.find(GROUP, name, "predict rule")
    if make is None:
        known = [*MAKERS, *plugins.names(GROUP)]
        raise RequestError(
            f"{RULE}: there is no prediction rule {name!r}; {nearest(name, known)}. A package of yours that "
            f"defines one offers its maker through the entry point group {GROUP}"
        )
    made: Predict = make(**checked_options(make, said.get("options", {}), "predict", name))
    return made


def attach(model: Model, said: Mapping[str, Any] | None) -> Model:
    """The model, predicting by its rule from now on (`Model.probabilities`)."""
    model.rule = None if said is None else rule_of(said).run
    return model
