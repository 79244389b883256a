"""Writes a run's model card: the README.md that a model hub reads, and a person too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from tether.errors import RequestError
from tether.evaluation.headline import KINDS, NATURAL, SYNTHETIC
from tether.evaluation.metrics import robustness_gap
from tether.evaluation.statistics import wilson
from tether.files import read_json, write_text
from tether.report.card_front import base_name, data_name, front_matter, hub_id
from tether.report.measured import measure
from tether.report.records import Run
from tether.report.tables import number, seconds
from tether.report.verdicts import bounds, percent


def write_card(run: Run, target: Path) -> Path:
    """Write the model card of one run.

    Args:
        run: with its predictions; every accuracy is computed from them.
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
    front = front_matter(run).to_yaml(line_break="\n")
    text = f"---\n{front}\n---\n\n{_body(run)}"
    return str(ModelCard(text, ignore_metadata_errors=False))


def _body(run: Run) -> str:
    sections = (
        ("Intended use", _use(run)),
        ("Results", _results(run)),
        ("Limits", _limits(run)),
        ("Training", _training(run)),
        ("Cost", _cost(run)),
        ("How to load", _loading(run)),
        ("How to get the same again", _again(run)),
    )
    head = [
        f"# {_escape(base_name(run))}, fine-tuned with {_escape(run.method)}",
        "",
        f"A classifier for {_escape(data_name(run))}, made from {_escape(base_name(run))} with tether's "
        f"method {_escape(run.method)} (seed {run.seed}). It tells apart {len(run.classes)} classes: "
        f"{_classes(run)}.",
    ]
    lines = head + [line for title, part in sections for line in ("", f"## {title}", "", *part)]
    return "\n".join(lines) + "\n"


def _classes(run: Run) -> str:
    more = ", ..." if len(run.classes) > 50 else ""
    return ", ".join(_escape(c) for c in run.classes[:50]) + more


def _use(run: Run) -> list[str]:
    return [
        "To give one of these classes to samples like those of the test sets below: the ID set, and the "
        "shifts on which its accuracy is still good enough for you. It always answers with one of its "
        "classes, also for what is none of them. It was not made to decide about people without a person who "
        "checks.",
    ]


def _results(run: Run) -> list[str]:
    scores = measure([run])[0]
    inside = scores.id().value
    clean = scores.clean.kind(SYNTHETIC).value  # ID on the examples that were corrupted
    natural, synthetic = scores.kind(NATURAL).value, scores.kind(SYNTHETIC).value
    written = {(r.evalset, r.severity, r.metric): r.value for r in run.results}
    rows = []
    for s in sorted(run.sets, key=lambda s: (KINDS.index(s.key.kind), s.key)):
        x = wilson(int(s.correct().sum()), len(s.labels))
        f1, ece = (written.get((s.key.evalset, s.key.severity, m), math.nan) for m in ("macro_f1", "ece"))
        rows.append(
            f"| {_escape(str(s.key))} | {s.key.kind}{_mark(run, s.key.evalset)} "
            f"| {percent(x.value)} {bounds(x)} | {percent(f1)} | {percent(ece)} | {len(s.labels)} |"
        )
    worst = [r for r in run.results if r.metric == "worst_group"]
    return [
        f"- ID accuracy: {percent(inside)}%",
        f"- Natural shifts: {percent(natural)}%, gap {percent(robustness_gap(inside, natural))}%",
        f"- Synthetic shifts: {percent(synthetic)}%, gap {percent(robustness_gap(clean, synthetic))}%"
        + ("" if percent(clean) in (percent(inside), "–") else f" (ID on those examples: {percent(clean)}%)"),
        *(f"- Worst group of {_escape(r.evalset)}: {percent(r.value)}% of {r.n}" for r in worst),
        "",
        "The gap is 1 − shifted/ID accuracy. A dash means that it was not measured.",
        "",
        "| Test set | Kind | Accuracy %, 95% interval | Macro-F1 % | ECE % | Examples |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _limits(run: Run) -> list[str]:
    return [
        "- The numbers hold for the test sets above. Another shift may cost more; test on your own data.",
        "- The intervals cover the choice of test examples, not that of the seed: this is one training run.",
        f"- {_seen(run)}",
        "- No test for harm, bias between groups or attacks was made unless a set above says so.",
        "- What the base model was trained on is not known here; it may hold samples like the test sets'. "
        "Its licence and that of the data decide what this model may be used for.",
    ]


def _training(run: Run) -> list[str]:
    method, train = run.config.get("method"), run.config.get("train")
    options = dict(method) if isinstance(method, Mapping) else {}
    base = base_name(run)
    link = f" ([{_escape(base)}](https://huggingface.co/{hub_id(base)}))" if hub_id(base) else ""
    told = [f"- Base model: {_escape(base)}{link}", f"- Method: {_escape(run.method)}, {_written(options)}"]
    told += (
        [f"- Left out of it: {_escape(', '.join(run.config['without']))}"] if "without" in run.config else []
    )
    sizes = _sizes(run)
    if sizes:
        told.append(f"- Data: {', '.join(f'{_escape(n)} {count}' for n, count in sizes.items())} samples")
    seen = sorted(run.seen or ())
    told.append(f"- Shifted views seen in training: {_escape(', '.join(seen)) if seen else 'none known'}")
    if isinstance(train, Mapping):
        told.append(f"- Optimisation: {number(run.number('steps'))} steps, {_written(dict(train))}")
    if math.isfinite(mu := run.number("mu")):
        told.append(f"- Merged with its start at mu = {mu:g} (0: before training, 1: after)")
    if run.seen is not None and run.number("ood_val_accuracy") == run.number("ood_val_accuracy"):
        told.append(
            f"- Validation, on which choices were made: ID {percent(run.number('id_val_accuracy'))}%, "
            f"OOD {percent(run.number('ood_val_accuracy'))}%; no test set steered anything"
        )
    return told


def _cost(run: Run) -> list[str]:
    n = run.number
    told = [
        f"- Trained parameters: {number(n('trainable_parameters'))} of {number(n('total_parameters'))}",
        f"- Training time: {seconds(n('train_seconds'))}, {seconds(n('teacher_seconds'))} for teachers, "
        f"{seconds(n('choose_seconds'))} for choosing on validation; "
        f"{seconds(n('step_seconds'))} a step",
        f"- Peak memory in training: {_gib(n('peak_memory_bytes'))}",
    ]
    device = run.summary.get("device")
    more = (
        ("FLOPs of a training step", number(n("train_step_flops"))),
        ("FLOPs of one prediction", number(n("inference_flops"))),
        ("Latency of one prediction", seconds(n("latency_seconds"))),
        ("Device", "–" if device is None else _escape(str(device))),
    )
    return told + [f"- {what}: {value}" for what, value in more if value != "–"]


def _loading(run: Run) -> list[str]:
    prompts = (run.folder / "model" / "prompts.safetensors").is_file()
    said = (
        "`model/` holds the initial network as safetensors, for the library it came from, with the trained "
        "head and prompts in files beside it. Prompts cannot be merged into weights: another loader runs the "
        "network without them, which is not this model. With tether:"
        if prompts
        else "`model/` holds the final weights as safetensors, for the library the model came from. With "
        "tether:"
    )
    adapter = "`adapter/` holds what was trained alone, in peft's format, for the base model's network."
    extra = ["", adapter] if (run.folder / "adapter").is_dir() else []
    return [said, "", "```sh", "tether predict PATH_OF_THIS_FOLDER INPUT", "```", *extra]


def _again(run: Run) -> list[str]:
    # Four backticks: a configuration may itself hold three.
    return [
        "Save this as `config.yaml`, with paths of your own, and run `tether train config.yaml`.",
        "",
        "````yaml",
        run.config_text.rstrip(),
        "````",
    ]


def _seen(run: Run) -> str:
    seen = run.seen
    if seen is None:
        return "The configuration does not say which shifts were used in training."
    if tested := sorted(seen & {k.evalset for k in run.keys}):
        return f"Used in training, so weaker evidence: {', '.join(_escape(t) for t in tested)}."
    return "None of the tested shifts was used in training by name."


def _mark(run: Run, evalset: str) -> str:
    return ", seen in training" if run.seen is not None and evalset in run.seen else ""


def _written(options: Mapping[str, Any]) -> str:
    """Options as `key value`, those that are null or the name left out."""
    kept = {k: v for k, v in options.items() if k != "name" and v is not None}
    return _escape(", ".join(f"{k} {v}" for k, v in kept.items())) or "no options"


def _sizes(run: Run) -> dict[str, int]:
    """How many samples each set had, where the run wrote it down."""
    try:
        found = read_json(run.folder / "data.json")["sizes"]
        return {str(name): int(count) for name, count in found.items()}
    except (RequestError, KeyError, TypeError, AttributeError, ValueError):
        return {}


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB" if math.isfinite(size) and size > 0 else "–"


def _escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too."""
    for a, b in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("`", "&#96;"), ("\n", " ")):
        text = text.replace(a, b)
    return text
