"""The loop: steps, checkpoints, progress."""

from tether.training.device import Engine
from tether.training.fit import Fitted, fit
from tether.training.recipe import TrainConfig
from tether.training.runner import frozen_runner

__all__ = ["Engine", "Fitted", "TrainConfig", "fit", "frozen_runner"]
