"""The batches of a run's steps, and their parts where gradients are accumulated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tether.batch import Batch
from tether.data import Examples
from tether.training.device import Engine
from tether.training.order import Order


def of_steps(
    examples: Examples, order: Order, engine: Engine, steps: Iterable[int]
) -> Iterator[tuple[tuple[int, ...], Batch]]:
    """Ids of a step's samples over all processes, and this process's batch of them."""
    for step in steps:
        rows = order.rows(step)
        yield tuple(examples.ids[rows].tolist()), examples.batch(engine.share(rows))


def micro_batches(batch: Batch, parts: int) -> list[Batch]:
    """Equal micro-batches, in order."""
    size = -(-len(batch) // parts)
    return [batch.take(range(i, min(i + size, len(batch)))) for i in range(0, len(batch), size)]
