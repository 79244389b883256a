"""Counting floating-point operations, of anything and of one training step.

A multiplication and an addition are two. Matrix products and convolutions count, by torch's own counter; what
is done element by element does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tether.batch import Batch
from tether.finish import trained_state
from tether.methods import Method
from tether.models.backbone import tapped
from tether.models.model import Model
from tether.objective import Runner, StepForwards, evaluate_terms
from tether.shifts import Draws
from tether.training import Engine


def flops(work: Callable[[], Any]) -> int:
    """Floating-point operations of `work`, backward passes within it included.

    On a CPU attention runs as plain matrix products while it is counted: the counter does not know the fused
    kernel there. It knows those of a GPU.

    Example:
        >>> flops(lambda: torch.ones(2, 3) @ torch.ones(3, 4))
        48
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward}
    )
    # It hooks every module to count by module, and those hooks fail where a trained tensor meets no_grad.
    counter.mod_tracker = _OnePlace()  # type: ignore[assignment]
    kernel = nullcontext() if torch.cuda.is_available() else sdpa_kernel(SDPBackend.MATH)
    with kernel, counter:
        work()
    return int(counter.get_total_flops())


def _convolution_backward(
    gradient: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    wanted: Sequence[bool],
    out_shape: Any = None,
) -> int:
    """Operations of a convolution's gradients, from the shapes of what meets in it.

    Each of the two, of the input and of the weight, costs what the forward did. The counter's own formula for
    the weight's takes no account of groups (torch 2.13), and so makes a depthwise layer as many times dearer
    as it has channels.
    """
    places = x if transposed else gradient
    forward = 2 * math.prod(weight) * places[0] * math.prod(places[2:])
    return forward * sum(map(bool, wanted[:2]))


class _OnePlace:
    """Stands in for the counter's tracker of modules: everything happens in one place."""

    parents = ("Global",)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def step_flops(
    method: Method,
    model: Model,
    teachers: Mapping[str, Runner],
    batch: Batch,
    engine: Engine,
    seed: int,
) -> int:
    """Operations of one training step on `batch`: views, student, teachers, gradients, as they really run.

    The optimiser's own arithmetic goes element by element and is not counted. The model's weights, modes and
    the random state are as before; gradients are None.
    """
    taps = tapped(model.backbone, method.layers)
    needs_start = any(term.of == "weights" and term.weight != 0 for term in method.terms)
    start = trained_state(model) if needs_start else None

    def forwards(plan: Any = None) -> StepForwards:
        draws = Draws(seed, company=tuple(batch.ids.tolist()))
        return StepForwards(batch, method.views, model, teachers, draws, taps, plan, model, start)

    def step() -> None:
        with engine.autocast():
            loss = evaluate_terms(method.terms, forwards(traced), 1.0, {}).loss
        engine.backward(loss)

    with _as_trained(model):
        asked = forwards()
        with torch.no_grad():
            evaluate_terms(method.terms, asked)
        traced = asked.traced
        return flops(step)


@contextmanager
def _as_trained(model: Model) -> Iterator[None]:
    """Training mode, then what was there before: gradients, mode and random state."""
    was = model.training
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        model.train()
        try:
            yield
        finally:
            for parameter in model.parameters():
                parameter.grad = None
            model.train(was)
