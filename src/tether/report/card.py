"""Writes a run's model card: the README.md that a model hub reads, and a person too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tether.evaluation.headline import KINDS, NATURAL, SYNTHETIC
from tether.evaluation.metrics import robustness_gap
from tether.evaluation.statistics import wilson
from tether.files import write_text
from tether.report.measured import measure
from tether.report.records import Run
from tether.report.tables import number, seconds
from tether.report.verdicts import bounds, percent


def write_card(run: Run, target: Path) -> Path:
    """Write the model card of one run.

    Args:
        run: with its predictions; every number is computed from them.
        target: such as `runs/a/README.md`.

    Returns:
        The target.

    Raises:
        RequestError: when the target cannot be written.

    Example:
        >>> write_card(read_run(Path("runs/a")), Path("runs/a/README.md"))  # doctest: +SKIP
    """
    write_text(Path(target), card_text(run))
    return Path(target)


def card_text(run: Run) -> str:
    """The card as text: YAML front matter in the hub's `model-index` form, then Markdown."""
    front = yaml.safe_dump(_front(run), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(run)}"


def _front(run: Run) -> dict[str, Any]:
    task = _task(run)
    out: dict[str, Any] = {"library_name": "tether", "tags": ["tether", "robustness", run.method]}
    if task is not None:
        out["pipeline_tag"] = task
    out["metrics"] = ["accuracy"]
    data = _name(run.config.get("data"))
    out["model-index"] = [
        {
            "name": f"{_name(run.config.get('model'))} {run.method}",
            "results": [
                {
                    "task": {"type": task or "other"},
                    "dataset": {
                        "name": f"{data}: {s.key}",
                        "type": data,
                        "config": s.key.evalset,
                        "split": "test",
                        "args": {"kind": s.key.kind, "severity": s.key.severity},
                    },
                    "metrics": [{"type": "accuracy", "value": round(float(s.correct().mean()), 6)}],
                }
                for s in run.sets
            ],
        }
    ]
    return out


def _body(run: Run) -> str:
    model, data = _name(run.config.get("model")), _name(run.config.get("data"))
    scores = measure([run])[0]
    natural, synthetic = scores.kind(NATURAL).value, scores.kind(SYNTHETIC).value
    inside = scores.id().value
    rows = []
    for s in sorted(run.sets, key=lambda s: (KINDS.index(s.key.kind), s.key)):
        x = wilson(int(s.correct().sum()), len(s.labels))
        rows.append(
            f"| {_escape(str(s.key))} | {s.key.kind} | {percent(x.value)} {bounds(x)} | {len(s.labels)} |"
        )
    summary = [
        f"- ID accuracy: {percent(inside)}%",
        f"- Natural shifts: {percent(natural)}%, gap {percent(robustness_gap(inside, natural))}%",
        f"- Synthetic shifts: {percent(synthetic)}%, gap {percent(robustness_gap(inside, synthetic))}%",
        f"- Trained parameters: {number(run.number('trainable_parameters'))} of "
        f"{number(run.number('total_parameters'))}",
        f"- Training time: {seconds(run.number('train_seconds'))}, and "
        f"{seconds(run.number('teacher_seconds'))} for teachers",
    ]
    classes = ", ".join(_escape(c) for c in run.classes[:50]) + (", ..." if len(run.classes) > 50 else "")
    lines = [
        f"# {_escape(model)}, fine-tuned with {_escape(run.method)}",
        "",
        f"A classifier for {_escape(data)}, made from {_escape(model)} with tether's method "
        f"{_escape(run.method)} (seed {run.seed}). It tells apart {len(run.classes)} classes: {classes}.",
        "",
        "## Results",
        "",
        *summary,
        "",
        "The gap is 1 − shifted/ID accuracy. A dash means that no such set was tested.",
        "",
        "| Test set | Kind | Accuracy %, 95% interval | Examples |",
        "|---|---|---|---|",
        *rows,
        "",
        "## How to load",
        "",
        _how_to_load(run),
        "",
        "```sh",
        "tether predict PATH_OF_THIS_FOLDER INPUT",
        "```",
        "",
        "## Limits",
        "",
        "- The numbers hold for the test sets above. Another shift may cost more; test on your own data.",
        "- The intervals cover the choice of test examples, not that of the seed: this is one training run.",
        f"- {_seen(run)}",
        "- No test for harm, bias between groups or attacks was made unless a set above says so.",
        "",
        "## Configuration",
        "",
        # Four backticks: a configuration may itself hold three.
        "````yaml",
        run.config_text.rstrip(),
        "````",
    ]
    return "\n".join(lines) + "\n"


def _how_to_load(run: Run) -> str:
    if (run.folder / "model" / "prompts.safetensors").is_file():
        return (
            "`model/` holds the initial network as safetensors, for the library it came from, with the "
            "trained head and prompts in files beside it. Prompts cannot be merged into weights: another "
            "loader runs the network without them, which is not this model. With tether:"
        )
    return (
        "`model/` holds the final weights as safetensors, for the library the model came from. With tether:"
    )


def _name(value: Any) -> str:
    """The name in a configuration entry: a string, or a mapping that holds one."""
    if isinstance(value, Mapping):
        value = next((value[k] for k in ("name", "path", "source") if k in value), None)
    return "unnamed" if value is None else str(value)


def _task(run: Run) -> str | None:
    """The hub's name of the task, from what the examples are; None when the run kept none."""
    if not run.samples:
        return None
    return "image-classification" if run.samples[0].image is not None else "text-classification"


def _seen(run: Run) -> str:
    seen = run.seen
    if seen is None:
        return "The configuration does not say which shifts were used in training."
    if tested := sorted(seen & {k.evalset for k in run.keys}):
        return f"Used in training, so weaker evidence: {', '.join(_escape(t) for t in tested)}."
    return "None of the tested shifts was used in training by name."


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    for a, b in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("`", "&#96;"), ("\n", " ")):
        text = text.replace(a, b)
    return text
