"""Train a few steps in a process of its own and print what they cost: the other benchmarks call it.

    python benchmarks/train_steps.py PRESET FOLDER SAMPLES [key=value ...]

SAMPLES of the training set are used, or "all". Prints {"step": median seconds, "whole": seconds of all steps
and what they compute once, "peak": bytes, "weights": bytes of all parameters that the process holds, each
storage counted once}.
"""

from __future__ import annotations

import gc
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from tether import methods
from tether.allocator import keep_freed_memory
from tether.config import load_config
from tether.data import Examples
from tether.making import making
from tether.scene import ingredients, initial_head, settled, start, suite_of
from tether.supply import ready, supplies_of
from tether.teachers import bind, prepare
from tether.training import fit


def spread(examples: Examples, count: int) -> Examples:
    """So many, from all over the set, which may be ordered by class."""
    return examples.subset([i * len(examples) // count for i in range(count)])


def fitted_steps(preset: str, out: Path, samples: str, overrides: list[str]) -> dict[str, float]:
    """Train as the run would, on some of the samples, and say what it cost."""
    config = load_config(preset, overrides)
    data, engine, loaded = ingredients(config)
    if samples != "all":
        few = spread(data.train, int(samples))
        data = replace(data, train=few, fingerprint=f"{data.fingerprint}-{samples}")
    supplies = supplies_of(config, data, engine, loaded)
    built = methods.build(config.method.name, config.method.options)
    method = ready(settled(built, loaded, data.classes), data, supplies)
    suite = suite_of(config, data, supplies)
    prepared = prepare(method, making(config, data, engine, loaded, suite, supplies), data.classes)
    student = start(method.start, loaded, data, config.seed, engine)
    head = initial_head(method, loaded, data, config, engine)
    groups = method.tuning.apply(student)
    student.to(engine.device)
    teachers = {n: t.run for n, t in bind(method, student, prepared, head).items()}
    held = {
        p.untyped_storage().data_ptr(): p.untyped_storage().nbytes()
        for p in gc.get_objects()
        if isinstance(p, torch.nn.Parameter)
    }
    fitted = fit(
        student, method, groups, data.train, teachers, config.train, engine, 0, out, "bench", "steps"
    )
    return {
        "step": fitted.step_seconds,
        "whole": fitted.train_seconds,
        "peak": fitted.peak_memory_bytes,
        "weights": sum(held.values()),
    }


def main() -> None:
    keep_freed_memory()  # as the tether command does
    preset, out, samples, *overrides = sys.argv[1:]
    print(json.dumps(fitted_steps(preset, Path(out), samples, overrides)))


if __name__ == "__main__":
    main()
