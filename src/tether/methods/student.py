"""What of the student trains, by name: the options several methods share (METHODS 1.1)."""

from __future__ import annotations

from typing import Literal

from tether import tune
from tether.errors import RequestError
from tether.methods.method import Initial, TeacherSource, Trained
from tether.tune import Tuning, Variant
from tether.tune.top_blocks import top_blocks

Student = Literal["lora", "last_blocks", "full"]
HeadMode = Literal["trainable", "frozen"]
Targets = Literal["all", "qv"] | list[str]
HeadStart = Literal["probe", "random"]


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
        targets: the layers with an adapter: "all", "qv", or ends of module names.
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


def initial_source(start: HeadStart) -> TeacherSource:
    """M_0 for a student whose head starts so: its own start, or the same network under the linear probe.

    A random head teaches nothing, so that M_0 is then a model by itself and holds a copy of the weights.

    Example:
        >>> initial_source("random").method
        'linear_probe'
    """
    return Initial() if start == "probe" else Trained("linear_probe")
