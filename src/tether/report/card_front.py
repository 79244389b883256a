"""The front matter of a model card: what a model hub reads by machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from tether.report.records import Measurement, Run

# Packaged weights that are a hub model's, so that the card can point there.
HUB_NAMES: Mapping[str, str] = {
    "minilm-l6": "sentence-transformers/all-MiniLM-L6-v2",
    "minilm-l3": "sentence-transformers/paraphrase-MiniLM-L3-v2",
}
# What the hub calls a metric of ours, and the options that make it ours.
METRICS: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "accuracy": ("accuracy", None),
    "macro_f1": ("f1", {"average": "macro"}),
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def front_matter(run: Run) -> ModelCardData:
    """Base model, data sets and every measured number in the hub's `model-index` form.

    A set's accuracy is computed from its predictions; macro-F1 is taken as the run wrote it.
    """
    base = _name(run.config.get("model"))
    return ModelCardData(
        base_model=hub_id(base),
        base_model_relation=None if hub_id(base) is None else "finetune",
        datasets=_datasets(run),
        eval_results=_results(run),
        library_name="tether",
        metrics=[METRICS["accuracy"][0], METRICS["macro_f1"][0]],
        model_name=f"{base_name(run)} {run.method}",
        pipeline_tag=task(run),
        tags=["tether", "robustness", "distribution-shift", run.method],
    )


def hub_id(name: str) -> str | None:
    """The hub's name of a model, None for one that is not there: a folder, or weights of a package."""
    if name in HUB_NAMES:
        return HUB_NAMES[name]
    is_path = name.startswith((".", "/", "~")) or Path(name).exists()
    return name if _HUB_ID.fullmatch(name) and not is_path else None


def base_name(run: Run) -> str:
    """What the model was made from, as a person calls it: no folders of the machine that trained it."""
    name = _name(run.config.get("model"))
    return name if hub_id(name) else Path(name).name


def data_name(run: Run) -> str:
    """What the data are called: a preset, a hub name, or the last part of a path."""
    name = _name(run.config.get("data"))
    return name if _HUB_ID.fullmatch(name) else Path(name).stem


def task(run: Run) -> str | None:
    """The hub's name of the task, from what the examples are; None when the run kept none."""
    if not run.samples:
        return None
    return "image-classification" if run.samples[0].image is not None else "text-classification"


def _datasets(run: Run) -> list[str] | None:
    data = run.config.get("data")
    known = isinstance(data, Mapping) and data.get("source") == "hub" and data.get("name")
    return [str(data["name"])] if known and isinstance(data, Mapping) else None


def _results(run: Run) -> list[EvalResult]:
    data, written = data_name(run), {(r.evalset, r.severity, r.metric): r for r in run.results}
    found = []
    for s in run.sets:
        macro = written.get((s.key.evalset, s.key.severity, "macro_f1"))
        values = {"accuracy": float(s.correct().mean())} | _known("macro_f1", macro)
        for metric, value in values.items():
            kind, options = METRICS[metric]
            found.append(
                EvalResult(
                    task_type=task(run) or "other",
                    dataset_type=data,
                    dataset_name=f"{data}: {s.key}",
                    # The hub's library joins results whose data set has one configuration and split, whatever
                    # the args say: so the severity is a part of it.
                    dataset_config=str(s.key),
                    dataset_split="test",
                    dataset_args={"kind": s.key.kind, "severity": s.key.severity},
                    metric_type=kind,
                    metric_value=round(value, 6),
                    metric_args=None if options is None else dict(options),
                )
            )
    return found


def _known(name: str, row: Measurement | None) -> dict[str, float]:
    return {} if row is None or row.value != row.value else {name: row.value}


def _name(value: Any) -> str:
    """The name in a configuration entry: a string, or a mapping that holds one."""
    if isinstance(value, Mapping):
        keys = ("preset", "name", "dataset", "path", "source")
        value = next((value[k] for k in keys if value.get(k) is not None), None)
    return "unnamed" if value is None else str(value)
