"""`tether evaluate A B C CONFIG`: several models on one benchmark, side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tether.asked import output_of, stem_of
from tether.config import Config, load_config, with_values
from tether.errors import RequestError
from tether.files import as_name, write_text
from tether.models.config import ModelConfig
from tether.progress import bar, say
from tether.report.efficiency import efficiency_csv, efficiency_markdown
from tether.report.robustness import RobustnessTable, robustness_table
from tether.report.robustness_files import write_robustness
from tether.report.runs import read_runs
from tether.untrained import evaluate

ModelSpec = str | Mapping[str, Any]


@dataclass(frozen=True)
class Robustness:
    """Several models on one benchmark.

    Attributes:
        folder: holds a run folder a model, the table and the figure.
        table: models with accuracies and gaps.
        files: the table, the figure and the costs, as they were written.
        failed: model -> message of those that could not be evaluated.
    """

    folder: Path
    table: RobustnessTable
    files: Sequence[Path]
    failed: Mapping[str, str]


def evaluate_models(
    models: Sequence[ModelSpec],
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    output: str | None = None,
) -> Robustness:
    """Evaluate each model into its own run folder, then write one table and one figure.

    Finished models are found and not repeated; a failed one is reported and the rest go on.

    Args:
        models: run folders, saved folders, packaged, registered or hub names; or what a config's `model:` may
            say, such as {"name": "emoji-two-tower", "head": "probe"}.
        config: a preset's name, a YAML path or a mapping.
        overrides: "key=value" for every model.
        output: the folder; default runs/evaluate-CONFIG.

    Raises:
        RequestError: a wrong key or option, or a model named twice, before anything is run; or when no model
            could be evaluated.

    Example:
        >>> import tether
        >>> tether.evaluate_models(["minilm-l6", "minilm-l3"], "sentiment").folder  # doctest: +SKIP
        PosixPath('runs/evaluate-sentiment')
    """
    if not models:
        raise RequestError("evaluate: expected at least one model")
    overrides, output = output_of(overrides, output)
    folder = Path(output or f"runs/evaluate-{stem_of(config)}")
    base = load_config(config, overrides)
    asked = {label: _settled(spec, base) for label, spec in labelled(models).items()}
    folders, failed = _run_all(asked, base, folder)
    if not folders:
        raise RequestError(
            "no model could be evaluated:\n" + "\n".join(f"{k}: {v}" for k, v in failed.items())
        )
    runs = sorted(read_runs(folders), key=lambda run: run.number("total_parameters"))
    table = robustness_table(runs)
    files = write_robustness(table, folder)
    for suffix, text in (("csv", efficiency_csv(runs)), ("md", efficiency_markdown(runs))):
        files.append(folder / f"efficiency.{suffix}")
        write_text(files[-1], text)
    return Robustness(folder, table, files, failed)


def _run_all(
    asked: Mapping[str, Mapping[str, Any]], base: Config, folder: Path
) -> tuple[list[Path], dict[str, str]]:
    folders: list[Path] = []
    failed: dict[str, str] = {}
    with bar("evaluate", len(asked)) as progress:
        for label, spec in asked.items():
            progress.note(f"evaluate: {label}")
            try:
                one = with_values(base, output=str(folder / as_name(label, keep="._-")))
                folders.append(evaluate(spec, one, label=label).folder)
            except RequestError as e:
                failed[label] = str(e)
                say(f"[red]{label} failed:[/red] {e}")
            progress.advance()
    return folders, failed


def labelled(models: Sequence[ModelSpec]) -> dict[str, ModelSpec]:
    """A short name for each model, every one different, in the given order.

    Raises:
        RequestError: the same model twice.

    Example:
        >>> list(labelled(["runs/a/rdft_s0", "runs/b/rdft_s0", {"name": "clip", "head": "probe"}]))
        ['a-rdft_s0', 'b-rdft_s0', 'clip-probe']
    """
    keys = [json.dumps({"name": m} if isinstance(m, str) else dict(m), sort_keys=True) for m in models]
    if twice := sorted({k for k in keys if keys.count(k) > 1}):
        raise RequestError(f"evaluate: expected each model once, {', '.join(twice)} came more often")
    short = [_label(m, 1) for m in models]
    longer = [_label(m, 2) if short.count(s) > 1 else s for m, s in zip(models, short, strict=True)]
    found: dict[str, ModelSpec] = {}
    for name, model in zip(longer, models, strict=True):
        number = 2
        unique = name
        while unique in found:
            unique, number = f"{name}-{number}", number + 1
        found[unique] = model
    return found


def _label(model: ModelSpec, parts: int) -> str:
    given: Mapping[str, Any] = {"name": model} if isinstance(model, str) else model
    words = [p for p in Path(str(given.get("name", "model"))).parts if p not in ("/", "..", "~")]
    if len(words) > 1 and words[-1] == "model":  # the model's folder inside a run
        words = words[:-1]
    options = [str(v) for k, v in given.items() if k in ("head", "pooling", "revision")]
    return "-".join([*words[-parts:], *options])


def _settled(spec: ModelSpec, base: Config) -> dict[str, Any]:
    """The model as a config's `model:` would say it, checked now."""
    given = {"name": spec} if isinstance(spec, str) else dict(spec)
    whole = with_values(base, model={**base.model.model_dump(), **given})
    return {k: v for k, v in whole.model.model_dump().items() if k in ModelConfig.model_fields}
