"""A soup of finished runs: their models averaged, or the best of them added one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tether import methods
from tether.errors import RequestError
from tether.files import read_json
from tether.finish import Blended, Judge, Scores, greedy, uniform
from tether.folder import written_config
from tether.inference import load
from tether.models.load import load_backbone
from tether.models.model import Model
from tether.models.start import meant


def soup_of(runs: Sequence[str | Path], judge: Judge | None = None) -> tuple[Model, list[Blended]]:
    """The mean of several finished runs of one start (METHODS 6, `soup`).

    Adapters were merged when the runs were saved, so runs of LoRA and of full fine-tuning mix.

    Args:
        runs: folders of two runs or more: one pretrained model and one data set, and a head that started
            alike; method, seed, learning rate and augmentation may differ.
        judge: scores a model on validation; with one the soup is greedy, without one uniform.

    Returns:
        The model (`tether.models.save.save_model` writes it), and what became of each run, by folder.

    Raises:
        RequestError: fewer than two runs, an unfinished one, or runs of unlike starts.

    Example:
        >>> model, rows = soup_of(["runs/a", "runs/b"])  # doctest: +SKIP
    """
    folders = [Path(run) for run in runs]
    if len(folders) < 2:
        raise RequestError(f"soup: expected two runs or more, got {len(folders)}; name their folders")
    check_one_start(folders)
    models = [load(folder) for folder in folders]
    for model in models:
        for parameter in model.parameters():
            parameter.requires_grad_(True)
    first, classes = models[0], models[0].classes
    for folder, model in zip(folders, models, strict=True):
        if model.classes != classes:
            raise RequestError(
                f"soup: expected the classes {list(classes)} in this order, {folder} has "
                f"{list(model.classes)}"
            )
    others = {
        str(folder): {n: p.detach() for n, p in model.named_parameters()}
        for folder, model in zip(folders[1:], models[1:], strict=True)
    }
    blend = uniform if judge is None else greedy
    rows = blend.apply(first, others, judge or _nobody)
    own = str(folders[0])
    named = [Blended(row.name if row.name in others else own, row.used, row.alone, row.mixed) for row in rows]
    return first.eval(), named


def check_one_start(folders: Sequence[Path]) -> None:
    """Refuse runs whose weights did not start at one point: between those no straight line is low.

    Raises:
        RequestError: unlike models or data, or random heads of unlike seeds.
    """
    first = written_config(folders[0])
    seeds = {f: _random_head(f) for f in folders}
    for folder in folders[1:]:
        other = written_config(folder)
        differ = [k for k in ("model", "data") if getattr(other, k) != getattr(first, k)]
        if seeds[folder] != seeds[folders[0]]:
            differ.append("start of the head")
        if differ:
            raise RequestError(
                f"soup: expected runs of one start, but {folders[0]} and {folder} differ in "
                f"{' and '.join(differ)}; average runs of one model on one data set"
            )


def _random_head(folder: Path) -> int | None:
    """The seed of a head that started at random, None for one that did not."""
    config = written_config(folder)
    start = methods.build(config.method.name, config.method.options).start
    if start == "auto":
        loaded, classes = load_backbone(config.model), read_json(folder / "classes.json")
        start = meant(start, loaded, classes)
    return config.seed if start == "random" else None


def _nobody(model: Model) -> Scores:
    raise AssertionError("a uniform soup judges nothing")
