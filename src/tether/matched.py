"""Equal compute: each method gets the steps that cost what the reference's steps cost (METHODS 1.13)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tether.config import Config, with_values
from tether.cost import cost
from tether.errors import RequestError
from tether.runnable import training_samples

FLOPS = "flops"


def matched(
    grid: Sequence[Config], match: str, reference: Config, named: Sequence[str]
) -> tuple[list[Config], dict[str, str], list[str]]:
    """The grid with `train.steps` set so that every run costs what the reference costs.

    A run of T steps costs T B (step + before), B the batch size: the student's steps and those of the
    teachers and ingredients that come first, each as many as the student's, counted in forwards (`cost`). So
    a method gets T_ref B_ref (step + before)_ref / (B (step + before)) steps, rounded, at least one. A
    teacher that starts from a smaller model counts as one of the student's size. A method that trains
    nothing is left as it is.

    Args:
        reference: its own steps stay.
        named: methods that were asked for by their name.

    Returns:
        The configs, why others were left out, and sentences for the report.

    Raises:
        RequestError: another word than "flops"; a method of `named`, or the reference, whose cost cannot be
            counted or is nothing.
    """
    if match != FLOPS:
        raise RequestError(f"--match: expected flops, got {match!r}")
    if len({(c.train.steps, c.train.epochs) for c in grid}) > 1:
        raise RequestError(
            "--match: it sets train.steps itself; take train.steps and train.epochs off the grid"
        )
    total = _steps(reference)
    work = total * reference.train.batch_size * _forwards(reference)
    if work == 0:
        raise RequestError(
            f"--match: the reference {reference.method.name} trains nothing; give another --reference"
        )
    found: list[Config] = []
    skipped: dict[str, str] = {}
    steps: dict[str, int] = {}
    for config in grid:
        try:
            price = config.train.batch_size * _forwards(config)
        except RequestError as e:
            if config.method.name in named:
                raise
            skipped[config.method.name] = str(e)
            continue
        budget = total if price == 0 else max(1, round(work / price))
        if price > 0:
            steps.setdefault(Path(config.output or "").name.removesuffix(f"_s{config.seed}"), budget)
        if budget != total:  # an unchanged config finds its finished run
            train = {**config.train.model_dump(mode="json"), "steps": budget}
            config = with_values(config, train=train)
        found.append(config)
    listed = ", ".join(f"{name} {count}" for name, count in steps.items())
    note = (
        f"Steps are matched by FLOPs: each method has as many as cost what {total} steps of "
        f"{reference.method.name} cost, its teachers' training counted: {listed}."
    )
    return found, skipped, [note]


def _forwards(config: Config) -> float:
    """F a step, of the student and of what is trained before it."""
    return _counted(config.method.name, json.dumps(config.method.model_dump(mode="json")["options"]))


@cache
def _counted(name: str, options: str) -> float:
    try:
        counted = cost(name, json.loads(options))
    except RequestError as e:
        raise RequestError(
            f"--match: the cost of {name} cannot be counted on a plain network ({e}); leave it "
            "out, or set its train.steps by hand"
        ) from e
    return counted.total


def _steps(config: Config) -> int:
    if config.train.steps is not None:
        return config.train.steps
    return config.train.total_steps(training_samples(config))
