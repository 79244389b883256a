"""What a model and its training cost: operations, latency, throughput (METHODS 1.12, efficiency)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from tether.batch import Batch
from tether.data import Examples
from tether.evaluation.flops import flops
from tether.models.model import Model
from tether.prediction import Predict
from tether.training import Engine

BUDGET = 1.0  # seconds for each of latency and throughput
ROUNDS = (3, 30)  # at least and at most so many, whatever the budget says
THROUGHPUT_BATCH = 32


@dataclass(frozen=True)
class Inference:
    """The cost of predicting with the finished model; "unmerged" is with its adapters beside the weights.

    Attributes:
        inference_flops: of one sample.
        inference_flops_unmerged: the same before merging; None where there is nothing to merge.
        latency_seconds: of a batch of one sample, the median over rounds.
        latency_unmerged_seconds: in the same rounds, in turn with it; None as above.
        inference_samples_per_second: in batches of 32.
    """

    inference_flops: int
    inference_flops_unmerged: int | None
    latency_seconds: float
    latency_unmerged_seconds: float | None
    inference_samples_per_second: float


def inference(
    model: Model, rule: Predict, examples: Examples, engine: Engine, unmerged: Model | None = None
) -> Inference:
    """Measure the finished model, and in turn with it the same with its adapters beside the weights.

    Args:
        examples: their first samples are what is predicted; reading them is not timed.
        unmerged: a copy from before merging, where there was something to merge.
    """
    one = examples.batch([0]).to(engine.device)
    many = examples.batch(range(min(THROUGHPUT_BATCH, len(examples)))).to(engine.device)
    models = [model] if unmerged is None else [model, unmerged]
    runs = [_predicting(m.eval(), rule, one, engine) for m in models]
    times, counts = interleaved(runs, engine.device), [flops(run) for run in runs]
    each = interleaved([_predicting(model, rule, many, engine)], engine.device)[0]
    return Inference(
        inference_flops=counts[0],
        inference_flops_unmerged=None if unmerged is None else counts[1],
        latency_seconds=times[0],
        latency_unmerged_seconds=None if unmerged is None else times[1],
        inference_samples_per_second=len(many) / each,
    )


def interleaved(
    works: Sequence[Callable[[], Any]], device: torch.device, budget: float = BUDGET
) -> list[float]:
    """Median seconds of each, run in turn so that a machine that slows down slows all of them alike."""
    for work in works:
        work()  # the first run of a shape plans and allocates
    found: list[list[float]] = [[] for _ in works]
    began = time.perf_counter()
    least, most = ROUNDS
    for done in range(most):
        if done >= least and time.perf_counter() - began > budget:
            break
        for times, work in zip(found, works, strict=True):
            _wait(device)
            tick = time.perf_counter()
            work()
            _wait(device)
            times.append(time.perf_counter() - tick)
    return [statistics.median(times) for times in found]


def device_hours(seconds: float, engine: Engine) -> float:
    """Wall clock times the devices that worked, in hours."""
    return seconds * engine.processes / 3600


def device_name(device: torch.device) -> str:
    """What the numbers were measured on.

    Example:
        >>> device_name(torch.device("cpu")).startswith("CPU")
        True
    """
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type


@dataclass(frozen=True)
class Efficiency:
    """The keys of `summary.json` about cost, besides those of training itself.

    Attributes:
        device: its name; CPU with its threads.
        devices: how many worked at once.
        choose_seconds: the finish, mixing and calibrating on validation, wall clock.
        evaluate_seconds: the stress test, wall clock.
        train_device_hours: the student's steps.
        teacher_device_hours: teachers and ingredients, also when they came from the cache.
        choose_device_hours: choosing on validation.
        evaluate_device_hours: the stress test.
        train_samples_per_second: batch size over the median step; None without training.
        train_step_flops: of one step on a whole batch; None without training or when not measured.
        inference: None when not measured (`evaluate.efficiency: false`).
    """

    device: str
    devices: int
    choose_seconds: float
    evaluate_seconds: float
    train_device_hours: float
    teacher_device_hours: float
    choose_device_hours: float
    evaluate_device_hours: float
    train_samples_per_second: float | None = None
    train_step_flops: int | None = None
    inference: Inference | None = None

    def numbers(self) -> dict[str, Any]:
        """As they stand in `summary.json`: flat."""
        found = asdict(replace(self, inference=None))
        found.pop("inference")
        return found | ({} if self.inference is None else asdict(self.inference))


def efficiency(
    engine: Engine,
    train_seconds: float,
    teacher_seconds: float,
    choose_seconds: float,
    evaluate_seconds: float,
    step_seconds: float = 0.0,
    batch_size: int = 0,
    train_step_flops: int | None = None,
    measured: Inference | None = None,
) -> Efficiency:
    """Put together what was measured."""
    return Efficiency(
        device=device_name(engine.device),
        devices=engine.processes,
        choose_seconds=choose_seconds,
        evaluate_seconds=evaluate_seconds,
        train_device_hours=device_hours(train_seconds, engine),
        teacher_device_hours=device_hours(teacher_seconds, engine),
        choose_device_hours=device_hours(choose_seconds, engine),
        evaluate_device_hours=device_hours(evaluate_seconds, engine),
        train_samples_per_second=batch_size / step_seconds if step_seconds > 0 and batch_size else None,
        train_step_flops=train_step_flops,
        inference=measured,
    )


def _predicting(model: Model, rule: Predict, batch: Batch, engine: Engine) -> Callable[[], Any]:
    def run() -> Any:
        with torch.no_grad(), engine.autocast():
            return rule.run(model, batch)

    return run


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
