"""The loop: steps of a method on data. It names no method and knows no modality."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tether.batch import Batch
from tether.data import Examples
from tether.data.ahead import ahead
from tether.errors import Interrupted, RequestError
from tether.finish import Judge, trained_state
from tether.methods import Method
from tether.models.backbone import tapped
from tether.models.model import Model
from tether.objective import Plan, Runner, StepForwards, evaluate_terms, numbers
from tether.progress import bar, say
from tether.shifts import Draws
from tether.training import checkpoint, log
from tether.training.batches import micro_batches, of_steps
from tether.training.checkpoint import Progressed
from tether.training.device import Engine
from tether.training.kept import Kept, keep
from tether.training.memory import peak_bytes, reset_peak
from tether.training.optimizer import make_optimizer, rates
from tether.training.order import Order
from tether.training.recipe import TrainConfig
from tether.training.stop import stop_on_signal
from tether.training.watch import Watch
from tether.tune import Groups

LOGGED_ROWS = 1000  # about so many rows a run, however long it is


@dataclass(frozen=True)
class Fitted:
    """What the training cost.

    Attributes:
        steps: optimiser steps.
        planned: those of the schedule; more than `steps` where training was ended early.
        out_of_time: whether `train.max_seconds` ended it.
        train_seconds: wall clock over all of them, interrupted parts included.
        step_seconds: median of one step in this process; 0 when none ran.
        peak_memory_bytes: the most held while training.
    """

    steps: int
    train_seconds: float
    step_seconds: float
    peak_memory_bytes: int
    planned: int = 0
    out_of_time: bool = False


def fit(
    model: Model,
    method: Method,
    groups: Groups,
    examples: Examples,
    teachers: Mapping[str, Runner],
    recipe: TrainConfig,
    engine: Engine,
    seed: int,
    folder: Path,
    fingerprint: str,
    label: str,
    judge: Judge | None = None,
) -> Fitted:
    """Train `model` in place; resume from the folder's checkpoint if it has one.

    Each step's samples, draws and random state are functions of (seed, step), so a run that was killed and
    resumed ends at exactly the weights of one that was not.

    Args:
        groups: trained parameters by group, as the method's tuning returned them.
        teachers: name -> runner.
        folder: of the run; `log.jsonl` and `checkpoints/` go there.
        fingerprint: of everything the weights depend on.
        label: for the progress bar.
        judge: scores the model on validation, for a controller and for early stopping.

    Raises:
        RequestError: a non-finite loss (term and step named), a checkpoint of another config, a full disk.
        Interrupted: after Ctrl-C, with the state saved.
    """
    taps = tapped(model.backbone, method.layers)
    reset_peak(engine.device)
    total = recipe.total_steps(len(examples)) if groups else 0
    if total == 0:
        return Fitted(0, 0.0, 0.0, peak_bytes(engine.device))
    checkpoints = folder / "checkpoints"
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizer = make_optimizer(model, groups, recipe, method.tuning.rates, method.weight_decay)
    if method.average is not None and recipe.patience is not None:
        raise RequestError(
            "train.patience: expected null, since this method averages its weights and so ends elsewhere "
            "than at its best step; leave patience out"
        )
    per_epoch = recipe.per_epoch(len(examples))
    watch = Watch(method.controller, recipe.patience, recipe.validate_every, judge, per_epoch, total, folder)
    average = None if method.average is None else method.average.begin(parameters)
    tail = 0.0 if method.average is None else method.average.tail
    # Of step 0, so before a checkpoint replaces the weights.
    began_at = trained_state(model) if _asks_for_start(method) else None
    resumed = checkpoint.restore(checkpoints, parameters, optimizer, fingerprint)
    start, spent, last = 0, 0.0, total
    if resumed is not None:
        at, extra = resumed
        start, spent, last = at.step, at.seconds, at.step if at.ended else total
        if at.notes:
            watch.load(at.notes, extra, engine.device)
        if average is not None:
            average.load(
                {n.removeprefix("average/"): t for n, t in extra.items() if n.startswith("average/")}
            )
    log.cut(folder / "log.jsonl", start)
    watch.cut(start)
    student = engine.prepare(model)
    model.train()
    sizes = examples.sizes() if recipe.group_lengths else None
    order = Order(len(examples), recipe.batch_size, seed, sizes)
    durations: list[float] = []
    plan: Plan | None = None
    kept = Kept()
    every = max(1, total // LOGGED_ROWS)
    limit = recipe.max_seconds
    out_of_time = limit is not None and last < total and spent >= limit
    clean = ahead(of_steps(examples, order, engine, range(start, last)))
    began = time.monotonic()
    with stop_on_signal() as stop, bar(label, total) as progress:
        progress.advance(start)
        for step in range(start, last):
            tick = time.monotonic()
            company, batch = next(clean)
            batch, draws = batch.to(engine.device), Draws(seed, step, company)
            micro = micro_batches(batch, recipe.accumulate)
            if plan is None:
                plan = _trace(micro[0], method, student, teachers, model, draws, taps, began_at)
                kept = keep(plan, model, teachers, examples, recipe, engine)
            torch.manual_seed(_step_seed(seed, step))
            factor = recipe.factor(step, total, tail)
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            row: dict[str, float] = {}
            loss = 0.0
            for part in micro:
                forwards = StepForwards(
                    part, method.views, student, teachers, draws, taps, plan, model, began_at,
                    kept.teachers, kept.prefix,
                )  # fmt: skip
                share = len(part) / len(batch)
                with engine.autocast():
                    result = evaluate_terms(method.terms, forwards, share, watch.factors)
                engine.backward(result.loss)
                whole, values = numbers(
                    result, step
                )  # before the weights change, so that a broken step does not
                loss += whole
                for name, value in values.items():
                    row[name] = row.get(name, 0.0) + share * value
            nn.utils.clip_grad_norm_(parameters.values(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if average is not None:
                average.update(step + 1, total, per_epoch)
            durations.append(time.monotonic() - tick)
            progress.advance()
            logged = step % every == 0 or step == total - 1
            if logged or method.controller is not None:  # all processes must decide and tell the same
                together = engine.averaged({**row, "loss": loss})
                loss = together.pop("loss")
                row = together
            watch.note(row)
            if engine.is_main and logged:
                now = watch.factors
                weights = {t.name: t.weight * now.get(t.name, 1.0) for t in method.terms if t.weight != 0}
                log.append(
                    folder / "log.jsonl",
                    {"step": step, "loss": loss, "lr": rates(optimizer), "terms": row, "weights": weights},
                )
            done = step + 1
            ended = watch.look(done, model, parameters, engine.is_main)
            seconds = spent + time.monotonic() - began
            if limit is not None and done < total:
                out_of_time = engine.agreed(seconds >= limit)
                ended = ended or out_of_time
            if done % recipe.checkpoint_every == 0 or done == total or ended or stop.asked:
                at = Progressed(done, seconds, fingerprint, watch.state(), ended)
                extra = watch.tensors()
                if average is not None:
                    extra |= {f"average/{name}": value for name, value in average.state().items()}
                if engine.is_main:
                    checkpoint.save(checkpoints, parameters, optimizer, at, extra)
                if ended:
                    last = done
                    break
                if stop.asked and done < total:
                    raise Interrupted(
                        f"stopped after step {done} of {total}; the state is saved in {folder}. "
                        "Run the same command again to go on."
                    )
    model.eval()
    if average is not None:
        average.apply()
    watch.settle(parameters)
    seconds = spent + (time.monotonic() - began if start < last else 0.0)
    if out_of_time:
        say(f"{label}: train.max_seconds ended training after step {last} of {total}")
    return Fitted(
        steps=last,
        planned=total,
        out_of_time=out_of_time,
        train_seconds=seconds,
        step_seconds=statistics.median(durations) if durations else seconds / last,
        peak_memory_bytes=peak_bytes(engine.device),
    )


def _asks_for_start(method: Method) -> bool:
    return any(term.of == "weights" and term.weight != 0 for term in method.terms)


def _trace(
    batch: Batch,
    method: Method,
    student: Runner,
    teachers: Mapping[str, Runner],
    model: Model,
    draws: Draws,
    taps: tuple[int, ...],
    start: Mapping[str, Tensor] | None = None,
) -> Plan:
    """Run the terms once without a gradient to learn which forwards they ask for."""
    forwards = StepForwards(batch, method.views, student, teachers, draws, taps, model=model, start=start)
    with torch.no_grad():
        evaluate_terms(method.terms, forwards)
    return forwards.traced


def _step_seed(seed: int, step: int) -> int:
    return (seed * 1_000_003 + step * 7919 + 17) % 2**63
