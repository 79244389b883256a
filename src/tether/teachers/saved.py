"""A teacher from a folder: a tether run or a saved classification model."""

from __future__ import annotations

from collections.abc import Sequence

from tether.errors import RequestError
from tether.models.config import ModelConfig
from tether.models.load import load_backbone
from tether.models.model import MAIN, Model
from tether.teachers.trained import Teacher
from tether.training import Engine, frozen_runner


def saved_teacher(name: str, path: str, classes: Sequence[str], engine: Engine) -> Teacher:
    """Load it and check that its classes are the task's, in the same order.

    Raises:
        RequestError: no classification head, or other classes.
    """
    loaded = load_backbone(ModelConfig(name=path))
    if loaded.head is None or loaded.classes is None:
        raise RequestError(f"{name} teacher: {path} has no classification head; give a fine-tuned model")
    if tuple(loaded.classes) != tuple(classes):
        raise RequestError(
            f"{name} teacher: expected the classes {list(classes)} in this order, {path} has "
            f"{list(loaded.classes)}; train a teacher on this data"
        )
    model = Model(loaded.backbone, {MAIN: loaded.head}, classes).to(engine.device)
    return Teacher(frozen_runner(model))
