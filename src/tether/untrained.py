"""Stress-test a model as it comes, without training it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tether import methods
from tether.config import Config, as_yaml, load_config
from tether.evaluation.efficiency import efficiency
from tether.evaluation.suite import check_request
from tether.evaluation.summary import write_summary
from tether.files import read_json
from tether.finish import Finished
from tether.folder import begin, is_done, write_data
from tether.prediction import rule_of
from tether.progress import say
from tether.report.card import write_card
from tether.report.runs import read_run
from tether.run import Run
from tether.scene import ingredients, start, suite_of
from tether.steering import validation
from tether.stress_test import evaluate_into, inference_of
from tether.supply import (
    supplies_of,
)
from tether.training import Fitted
from tether.training.memory import peak_bytes, reset_peak


def evaluate(
    model: str | Mapping[str, Any],
    config: str | Path | Mapping[str, Any] | Config,
    overrides: Sequence[str] = (),
    label: str | None = None,
    **changes: Any,
) -> Run:
    """Stress-test a run, a saved folder or a hub model without training it.

    A model whose head does not have the data's classes gets what `model.head` says: a linear probe on the
    training set, or a zero-shot head from the class names.

    Args:
        model: its name or folder, or what a config's `model:` may say: {name: ..., head: ..., source: ...}.
        label: what results call it; None for the last part of its name.

    Example:
        >>> import tether
        >>> tether.evaluate("runs/digits-lora_s0", "digits").summary["ood_accuracy"]  # doctest: +SKIP
        0.61
    """
    if not isinstance(config, Config):
        config = load_config(config, [*overrides, *(f"{k}={as_yaml(v)}" for k, v in changes.items())])
    given: Mapping[str, Any] = {"name": model} if isinstance(model, str) else model
    shown = str(given.get("name", "a model"))
    label = label or Path(shown).name
    raw = {**config.flat(), "model": {**config.model.model_dump(), **given}, "method": "linear_probe"}
    config = load_config({**raw, "output": raw["output"] or f"runs/evaluate-{label}"})
    folder = Path(str(config.output))
    if is_done(folder, config):
        say(f"{folder} is finished already; its results are used")
        return Run(folder, read_json(folder / "summary.json"))
    data, engine, loaded = ingredients(config)
    suite = suite_of(config, data, supplies_of(config, data, engine, loaded))
    check_request(suite, (), config.evaluate.allow_seen)
    begin(folder, config)
    write_data(folder, data)
    own = loaded.head is not None and loaded.classes == data.classes
    if not own:
        how = "a linear probe on the training set" if loaded.make_head is None else "model.head"
        say(f"{shown} has no head of its own for these classes; {how} gives it one")
    student = start("probe", loaded, data, config.seed, engine)
    student.to(engine.device)
    rule = rule_of(loaded.rule if own or len(student.heads) > 1 else None)
    method = replace(methods.build("linear_probe", {}), predict=rule)
    reset_peak(engine.device)
    tested = evaluate_into(folder, student, method, config, suite, engine, label)
    peak = peak_bytes(engine.device)
    timed = inference_of(student, method, data, config, engine)
    counts = (0, student.parameter_counts()[1])
    summary = write_summary(
        folder, label, config.seed, counts, Fitted(0, 0.0, 0.0, peak), 0.0, Finished(),
        validation(method, config, suite, data, engine)(student),
        cost=efficiency(engine, 0.0, 0.0, 0.0, tested, measured=timed),
    )  # fmt: skip
    write_card(read_run(folder), folder / "README.md")
    return Run(folder, summary)
