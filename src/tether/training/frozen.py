"""The student's frozen lower blocks on clean samples, run once for a whole run (document 003's saving)."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tether.batch import Batch, Output
from tether.data import Examples
from tether.models.backbone import Backbone
from tether.models.branch import Branch
from tether.models.depth import depths
from tether.models.model import Model
from tether.models.prefix import cuts, gives_tuple, once
from tether.training.device import Engine
from tether.training.recall import Recalled, fill


@dataclass(frozen=True, eq=False)
class Frozen:
    """What block `count - 1` gives for every clean training sample.

    Attributes:
        backbone: the student's.
        count: blocks below everything that trains.
        outputs: by sample id, in full precision.
        tupled: whether the block gives its output as the first of a tuple.
    """

    backbone: Backbone
    count: int
    outputs: Recalled
    tupled: bool

    def answers(self, hidden: Collection[int]) -> bool:
        """Whether a forward that starts above these blocks can show the outputs of the blocks `hidden`."""
        return all(block >= self.count - 1 for block in hidden)

    def __call__(self, ids: Tensor) -> contextlib.AbstractContextManager[None]:
        """Inside, forwards of these clean samples start above the frozen blocks."""
        given = self.outputs(ids).hidden[self.count - 1]
        return once(self.backbone, self.count, given=(given,) if self.tupled else given)


def frozen_blocks(model: Model) -> int:
    """How many leading blocks neither hold nor follow anything that trains.

    Example:
        >>> frozen_blocks(model)  # of 12 blocks, the last of which trains  # doctest: +SKIP
        11
    """
    heads = list(model.heads.values())
    count = min([len(model.backbone.blocks()), *(h.above for h in heads if isinstance(h, Branch))])
    known = {id(p) for h in heads for p in h.parameters()}
    of = depths(model.backbone)
    for name, parameter in model.backbone.network.named_parameters():
        known.add(id(parameter))
        if parameter.requires_grad:
            count = min(count, of[name])
    # A parameter that a tuning added elsewhere, such as a prompt, may stand before the first block.
    elsewhere = any(p.requires_grad and id(p) not in known for p in model.parameters())
    return 0 if elsewhere else count


def frozen_outputs(model: Model, examples: Examples, engine: Engine, budget: float) -> Frozen | None:
    """Run the frozen blocks over the training set; None where there are none or they do not fit.

    Args:
        model: the student, after its tuning.
        budget: bytes; nothing is kept in half precision, so that the losses stay what they are.
    """
    count = frozen_blocks(model)
    row = examples.batch([0]).to(engine.device)
    if count == 0 or not cuts(model.backbone, row, count):
        return None

    def run(batch: Batch, hidden: Sequence[int]) -> Output:
        encoded = model.backbone.encode(batch, hidden)
        return Output(encoded.features[:, :0], {}, encoded.hidden, encoded.mask)

    made = fill("frozen blocks", run, [count - 1], examples, engine, budget, halves=False)
    if made is None or count - 1 not in made.blocks:
        return None
    with torch.no_grad():
        tupled = gives_tuple(model.backbone, row, count - 1)
    return Frozen(model.backbone, count, made, tupled)
