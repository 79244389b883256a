"""The loop: steps, checkpoints, progress."""

from tether.training.device import Engine
from tether.training.fit import Fitted, fit, frozen_runner
from tether.training.recipe import TrainConfig

__all__ = ["Engine", "Fitted", "TrainConfig", "fit", "frozen_runner"]
