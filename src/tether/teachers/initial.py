"""The initial teacher M_0: the student's own start."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn

from tether.batch import Batch, Output
from tether.models.branch import Branch
from tether.models.model import MAIN, Model, read
from tether.objective import Runner
from tether.training import frozen_runner
from tether.tune import Tuning
from tether.tune.lora import adapters_off


def initial_teacher(model: Model, tuning: Tuning, head: nn.Module | None = None) -> Runner:
    """M_0 of a model that is about to train; call it after the tuning and before the first step.

    Where the base weights stay frozen (LoRA, heads), M_0 is the same network with the adapters off and a
    copy of the head: one copy of the base weights in memory (METHODS 1.1). Where they train, M_0 is a copy.
    Its weights are frozen; a gradient flows to the input where the caller has not switched it off.

    Args:
        head: M_0's, where the student's own started at random; None for the student's.
    """
    if head is not None:
        head = copy.deepcopy(head).to(next(model.parameters()).device)
    if not tuning.shares_base:
        whole = copy.deepcopy(model)
        for name in [n for n, h in whole.heads.items() if isinstance(h, Branch)]:
            del whole.heads[name]  # copies of the main section, which says the same at the start
        if head is not None:
            whole.heads[MAIN] = head
        return frozen_runner(whole)
    heads = copy.deepcopy(model.heads)
    if head is not None:
        heads[MAIN] = head
    heads.eval()
    for parameter in heads.parameters():
        parameter.requires_grad_(False)

    def run(batch: Batch, hidden: Sequence[int] = ()) -> Output:
        with adapters_off(model):
            return read(model.backbone.encode(batch, hidden), heads)

    return run
