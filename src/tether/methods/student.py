"""What of the student trains, by name: the options several methods share (METHODS 1.1)."""

from __future__ import annotations

from typing import Literal

from tether import tune
from tether.errors import RequestError
from tether.tune import Tuning, Variant
from tether.tune.top_blocks import top_blocks

Student = Literal["lora", "last_blocks", "full"]
HeadMode = Literal["trainable", "frozen"]
Targets = Literal["all", "qv", "upper"] | list[str]
HeadStart = Literal["auto", "probe", "random"]


def student_tuning(
    student: Student = "lora",
    rank: int = 8,
    lora_alpha: float = 16.0,
    dropout: float = 0.0,
    targets: Targets = "all",
    blocks: int = 1,
    head_mode: HeadMode = "trainable",
    variant: Variant = "lora",
) -> Tuning:
    """The tuning of these options.

    Args:
        student: adapters beside frozen weights, the last blocks, or everything. The last two hold a second
            copy of the weights for the initial model.
        rank: of the adapters; with the next three and `variant` for "lora".
        lora_alpha: over rank, the adapters' scale.
        dropout: on the adapters' input.
        targets: layers with an adapter: "all", "qv", "upper" (half of the blocks), or ends of module names.
        blocks: how many of the last blocks, for "last_blocks".
        head_mode: "frozen" keeps the initial model's head.
        variant: of the adapters (see `tune.lora`).

    Raises:
        RequestError: an option of adapters for a student without them, or of blocks for one that has none.

    Example:
        >>> student_tuning("last_blocks", blocks=2).name
        'last blocks'
    """
    adapters = {"dropout": dropout != 0, "targets": targets != "all", "variant": variant != "lora"}
    idle = [] if student == "lora" else [name for name, given in adapters.items() if given]
    idle += ["blocks"] if student != "last_blocks" and blocks != 1 else []
    if idle:
        raise RequestError(
            f"method.{idle[0]}: means nothing for student={student}; leave {', '.join(idle)} out, or choose "
            f"student={'last_blocks' if idle[0] == 'blocks' else 'lora'}"
        )
    head = head_mode == "trainable"
    if student == "full":
        return tune.full(head)
    if student == "last_blocks":
        return top_blocks(blocks, head)
    return tune.lora(rank, lora_alpha, dropout, head, targets, variant)
