"""A whole model as something to ask, never to train."""

from __future__ import annotations

from collections.abc import Sequence

from tether.batch import Batch, Output
from tether.models.model import Model
from tether.objective import Runner


def frozen_runner(model: Model) -> Runner:
    """A teacher made of a whole model of its own: eval mode, never trained.

    The weights are frozen, so a forward keeps a graph only for an input that has a gradient itself: what a
    shift made against the teacher needs.
    """
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def run(batch: Batch, hidden: Sequence[int] = ()) -> Output:
        output: Output = model(batch, hidden)
        return output

    return run
